"""Describes the control API for programs, as an OpenAPI 3.1 document.

The document is built from the routes and the ``TypedDict`` classes, of which pydantic derives the schemas. Only this
module loads pydantic, at the first request for the document, because the client of the control API must start fast.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from typing_extensions import is_typeddict

from syncd import __version__
from syncd.control import event_schemas, schemas
from syncd.control.params import Json, Parameter
from syncd.control.routes import DASHBOARD, ROUTES, Route
from syncd.core.log_levels import LEVELS

_EVENT_DOCUMENTS = (
    event_schemas.DaemonEvent,
    schemas.FolderStatus,
    schemas.RemoteStatus,
    event_schemas.JobEvent,
    event_schemas.Progress,
    event_schemas.LostEvents,
)
_LOG_EVENT: Json = {
    "type": "object",
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "level": {"type": "string", "enum": list(LEVELS)},
        "event": {"type": "string"},
    },
    "required": ["timestamp", "level", "event"],
    "description": "A log event, with further fields that depend on it.",
}
_TAGS = {
    "state": ("The state of the daemon and its configuration.", "healthz metrics openapi status folders remotes"),
    "jobs": ("Jobs and their files.", "jobs job preview original drop retry cancel verify"),
    "events": ("The log, and events as they happen.", "log events throughput"),
    "control": (
        "Pausing, limits, scans, probes and the end.",
        "settings start stop rescan probe reload shutdown",
    ),
    "dashboard": ("The login of a browser.", "dashboard"),
}
"""The description and the routes of each tag; a route is named by the first part of its path."""
_SOCKET = {"url": "http://syncd", "description": "The control socket; its file mode decides who has access."}
_DASHBOARD = {
    "url": "http://{address}",
    "description": "The address of the dashboard; a request needs the token or the cookie.",
    "variables": {"address": {"default": "127.0.0.1:8765", "description": "`control.dashboard`"}},
}
_SECURITY_SCHEMES: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "On the dashboard's address: the text of `dashboard.token` in the state folder.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "syncd-8765",
        "description": "On the dashboard's address: the cookie of a login. Its name has the port of the dashboard.",
    },
}
_BINARY: Json = {"type": "string", "format": "binary"}
_TYPES: dict[object, Json] = {str: {"type": "string"}, bytes: _BINARY}


@cache
def document() -> Json:
    """Return the OpenAPI document."""
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "syncd", "version": __version__, "description": "The control API of the running daemon."},
        "servers": [_SOCKET, _DASHBOARD],
        "security": [{}, {"token": []}, {"cookie": []}],  # {}: the control socket needs no credentials
        "tags": [{"name": name, "description": description} for name, (description, _) in _TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY_SCHEMES,
            "schemas": _schemas(),
            "responses": {
                "Error": _response("The request failed; ``error`` is the reason in one line.", _reference("Error"))
            },
        },
    }


def _operation(route: Route[Any]) -> Json:
    names = route.path.removeprefix("/v1").removesuffix(".json").strip("/").split("/")
    operation: Json = {
        "operationId": route.method.lower() + "".join(map(str.capitalize, names)),
        "summary": route.summary,
        "tags": [tag for tag, (_, tagged) in _TAGS.items() if names[0] in tagged.split()],
    }
    if route is DASHBOARD:
        operation["servers"] = [_SOCKET]
    if route.method != "POST":
        operation["parameters"] = [
            {"name": one.name, "in": "query", "required": one.required, "schema": one.schema} for one in route.query
        ]
    if route.body:
        operation["requestBody"] = {"content": {"application/json": {"schema": _body_schema(route.body)}}}
    if route.file_body:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": _BINARY}}}
    error = {"$ref": "#/components/responses/Error"}
    success = _response("Success.", _response_schema(route), route.media_type)
    operation["responses"] = {str(route.status): success, route.failure: error, "default": error}
    return operation


def _body_schema(parameters: Sequence[Parameter]) -> Json:
    return {
        "type": "object",
        "properties": {one.name: one.schema for one in parameters},
        "required": [one.name for one in parameters if one.required],
    }


def _response_schema(route: Route[Any]) -> Json:
    if is_typeddict(route.response):
        return _reference(route.response.__name__)
    schema = _TYPES.get(route.response, {"type": "object"})
    return {**schema, "description": route.description} if route.description else schema


def _response(description: str, schema: Json, media_type: str = "application/json") -> Json:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Json]:
    """Return the schemas of all documents by the names of their types."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - see the module's docstring

    result: dict[str, Json] = {}
    responses = [route.response for route in ROUTES if is_typeddict(route.response)]
    for document_type in (*_EVENT_DOCUMENTS, schemas.Error, *responses):
        schema = TypeAdapter(document_type).json_schema(
            mode="serialization", ref_template="#/components/schemas/{model}"
        )
        result |= schema.pop("$defs", {})
        result[document_type.__name__] = schema
    result = _simplified(result)
    result["LogEvent"] = _LOG_EVENT
    result["LogEvents"]["properties"]["events"]["items"] = _reference("LogEvent")
    return result


def _simplified(schema: Any) -> Any:
    """Remove the titles that pydantic adds, and replace ``anyOf`` by a list of types."""
    if isinstance(schema, list):
        return [_simplified(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        return {"type": [choice["type"] for choice in schema["anyOf"]]}
    return {
        name: _simplified(part)
        for name, part in schema.items()
        if not (name == "title" and isinstance(part, str)) and not (name == "additionalProperties" and part is True)
    }
