"""The description of the control API for programs: OpenAPI 3.1.

The paths are written here; the shapes of answers are those of :mod:`syncd.control.service`, so that each stands in one
place.
"""

import inspect
from functools import cache
from types import NoneType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from syncd import __version__
from syncd.control import files, service
from syncd.control.events import KINDS
from syncd.core.log_levels import LEVELS
from syncd.core.model import Sort
from syncd.core.states import State

Json = dict[str, Any]

_SHAPES = (
    service.Status,
    service.FolderStatus,
    service.RemoteStatus,
    service.Bytes,
    service.Job,
    service.JobDetail,
    service.Step,
    service.JobPage,
    files.Dropped,
    service.DaemonEvent,
    service.JobEvent,
    service.Flight,
    service.Progress,
    service.Throughput,
    service.Settings,
    service.LiveSettings,
    service.Verified,
    service.Finding,
)
_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
_TEXT: Json = {"type": "string"}
_BYTES: Json = {"type": "string", "format": "binary"}
_ID = {"type": "string", "description": "A job's id in digits."}
_TARGET = {"type": "string", "description": "A job's id in digits, or a file:// URI with an absolute path."}
_URI = {"type": "string", "format": "uri", "description": "A file:// URI with the bytes of an absolute path."}


@cache
def document() -> Json:
    """Return the whole of it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "syncd", "version": __version__, "description": "The control API of the running daemon."},
        "paths": _paths(),
        "components": {
            "schemas": {
                **{shape.__name__: _shape(shape) for shape in _SHAPES},
                "LogEvent": _object(
                    {"timestamp": {"type": "string", "format": "date-time"}, "level": _one_of(LEVELS), "event": _TEXT}
                ),
                "Lost": _object({"count": {"type": "integer"}}),
                "Error": _object({"error": _TEXT, "problems": _list(_TEXT)}, required=["error"]),
            },
            "responses": {"Error": _answer("What was asked can't be done: one line.", _ref("Error"))},
        },
    }


def _paths() -> Json:
    nothing = _object({})
    targets = {"type": "array", "items": _TARGET, "minItems": 1}
    count = _object({"count": {"type": "integer"}})
    limits = _object({"bandwidth": _TEXT, "concurrency": {"type": ["integer", "string"]}}, required=[])
    now = _object({"now": {"type": "boolean", "default": False}}, required=[])
    return {
        "/healthz": _get("Whether the daemon does its work", _object({"ok": {"const": True}}), fails="503"),
        "/metrics": _get("The metrics, for Prometheus", _TEXT, kind="text/plain"),
        "/v1/openapi.json": _get("This document", {"type": "object"}),
        "/v1/status": _get("How the daemon is", _ref("Status")),
        "/v1/folders": _get("The watched folders", _object({"folders": _list(_ref("FolderStatus"))})),
        "/v1/remotes": _get("The servers", _object({"remotes": _list(_ref("RemoteStatus"))})),
        "/v1/jobs": _get(
            "Jobs, page by page",
            _ref("JobPage"),
            state=_one_of(State),
            limit={"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
            before={"type": "string", "description": "The `next` of the page before."},
            search={"type": "string", "description": "Text in the path."},
            folder=_URI,
            remote={"type": "string", "description": "A remote's name."},
            sort={**_one_of(Sort), "default": Sort.LATEST.value},
            group={**_one_of(("job", "file")), "default": "job", "description": "`file`: with `siblings`."},
        ),
        "/v1/job": _get(
            "The jobs of a file, or one, with history", _object({"jobs": _list(_ref("JobDetail"))}), target=_TARGET
        ),
        "/v1/preview": _get(
            "A small picture of a file, or the first 64 KiB of a text",
            _BYTES,
            kind="image/webp",
            job=_ID,
            size={"type": "integer", "enum": [320, 1600], "default": 320, "description": "Pixels of the longest edge."},
        ),
        "/v1/drop": _put("Put a file into a watched folder", _ref("Dropped"), folder=_URI, name=_TEXT),
        "/v1/original": _get("A file as it is", _BYTES, kind="application/octet-stream", job=_ID),
        "/v1/log": _get(
            "What was logged last, oldest first",
            _object({"events": _list(_ref("LogEvent"))}),
            limit={"type": "integer", "minimum": 1, "maximum": 2000, "default": 100},
            level={**_one_of(LEVELS), "description": "The least level."},
            event={"type": "string", "description": "How the event's name begins."},
            text={"type": "string", "description": "Text in the line."},
        ),
        "/v1/events": _get(
            "What happens, as server-sent events",
            {
                "type": "string",
                "description": "Events named daemon, folder, remote, job, progress, log and lost; their data are "
                "DaemonEvent, FolderStatus, RemoteStatus, JobEvent, Progress, LogEvent and Lost.",
            },
            kind="text/event-stream",
            fails="503",
            only={"type": "string", "description": f"Some of {', '.join(KINDS)}, separated by commas."},
        ),
        "/v1/throughput": _get("How much was sent when", _ref("Throughput")),
        "/v1/settings": {
            **_get("The configuration, and the limits that hold", _ref("Settings")),
            **_post("Go by other limits until the next reload", _ref("Settings"), body=limits),
        },
        "/v1/start": _post("Upload again", nothing),
        "/v1/stop": _post("Upload no more", nothing, body=now),
        "/v1/rescan": _post("Look through a folder, or all", nothing, body=_object({"path": _URI}, required=[])),
        "/v1/retry": _post(
            "Queue jobs again", count, body=_object({"targets": {"oneOf": [{"const": "all"}, targets]}})
        ),
        "/v1/cancel": _post("Give jobs up", count, body=_object({"targets": targets})),
        "/v1/verify": _post(
            "Fetch the servers' copies and compare them",
            _ref("Verified"),
            body=_object(
                {"targets": {**targets, "maxItems": 100}, "repair": {"type": "boolean", "default": False}},
                required=["targets"],
            ),
        ),
        "/v1/reload": _post("Take over the configuration", _object({"messages": _list(_TEXT)})),
        "/v1/dashboard": _post(
            "An address that opens the dashboard, once and within a minute; on the control socket alone",
            _object({"url": {"type": "string", "format": "uri"}}),
        ),
        "/v1/shutdown": _post("End the process, in order", nothing),
    }


def _get(summary: str, schema: Json, *, kind: str = "application/json", fails: str = "4XX", **query: Json) -> Json:
    parameters = [
        {"name": name, "in": "query", "required": name in ("target", "job"), "schema": of} for name, of in query.items()
    ]
    return {"get": {"summary": summary, "parameters": parameters, "responses": _answers(schema, kind, fails)}}


def _post(summary: str, schema: Json, *, body: Json | None = None) -> Json:
    asked = {"requestBody": {"content": {"application/json": {"schema": body}}}} if body else {}
    return {"post": {"summary": summary, **asked, "responses": _answers(schema, "application/json", "4XX")}}


def _put(summary: str, schema: Json, **query: Json) -> Json:
    """Describe a request whose body is a file."""
    parameters = [{"name": name, "in": "query", "required": True, "schema": of} for name, of in query.items()]
    asked = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _BYTES}}}}
    answers = _answers(schema, "application/json", "4XX", done="201")
    return {"put": {"summary": summary, "parameters": parameters, **asked, "responses": answers}}


def _answers(schema: Json, kind: str, fails: str, *, done: str = "200") -> Json:
    error = {"$ref": "#/components/responses/Error"}
    return {done: _answer("Done.", schema, kind), fails: error, "default": error}


def _answer(words: str, schema: Json, kind: str = "application/json") -> Json:
    return {"description": words, "content": {kind: {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _one_of(words: Any) -> Json:
    return {"type": "string", "enum": [str(word) for word in words]}


def _object(properties: Json, *, required: list[str] | None = None) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def _shape(shape: type) -> Json:
    """Return the schema of a ``TypedDict``."""
    hints = get_type_hints(shape, include_extras=True)
    properties = {name: _schema(of) for name, of in hints.items()}
    required = [name for name, of in hints.items() if get_origin(of) is not NotRequired]
    return {**_object(properties, required=required), "description": inspect.cleandoc(shape.__doc__ or "")}


def _schema(of: Any) -> Json:
    if of in _SIMPLE:
        return {"type": _SIMPLE[of]}
    if is_typeddict(of):
        return _ref(of.__name__)
    if of is Any:
        return {}
    origin, inner = get_origin(of), get_args(of)
    if origin is NotRequired:
        return _schema(inner[0])
    if origin is list:
        return _list(_schema(inner[0]))
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(inner[1])}
    return {"type": [_SIMPLE[one] for one in inner]}  # a union of simple ones, mostly with null
