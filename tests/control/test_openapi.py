"""The OpenAPI document describes the served routes, their parameters and their responses."""

import aiohttp
import pytest

from syncd.config.model import Address, Config
from syncd.control.app import make_app
from syncd.control.event_schemas import EVENT_KINDS
from syncd.control.openapi import document
from syncd.dashboard.auth import Credentials
from tests.control.fake import FakeDaemon, job

SIMPLE = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}


def problems(value, schema, where="$"):
    """Yield the violations of ``schema`` in ``value``.

    Supports the part of JSON Schema that the document uses, and fails for an unknown keyword.
    """
    if "$ref" in schema:
        yield from problems(value, document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], where)
        return
    known = {"type", "properties", "required", "items", "enum", "const", "additionalProperties", "description"}
    assert set(schema) <= known | {"format"}, schema
    kinds = schema.get("type", list(SIMPLE))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(isinstance(value, SIMPLE[kind]) and (kind == "boolean" or value is not True) for kind in kinds):
        yield f"{where}: {value!r} is no {kinds}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{where}: {value!r} is none of the words"
    if isinstance(value, dict):
        yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, below in value.items():
            named = schema.get("properties", {})
            if named and name not in named and "LogEvent" not in where:
                yield f"{where}.{name} is unknown"
            yield from problems(below, named.get(name, schema.get("additionalProperties", {})), f"{where}.{name}")
    if isinstance(value, list):
        for index, below in enumerate(value):
            yield from problems(below, schema.get("items", {}), f"{where}[{index}]")


def test_paths_are_the_served_routes():
    routes = {(route.method.lower(), route.resource.canonical) for route in make_app(FakeDaemon()).router.routes()}
    routes = {(method, path) for method, path in routes if method != "head"}
    assert {(method, path) for path, of in document()["paths"].items() for method in of} == routes


def operations():
    return [described for of in document()["paths"].values() for described in of.values()]


def test_document_is_valid_openapi():
    validator = pytest.importorskip("openapi_spec_validator")  # not on the Windows of the tests
    validator.validate(document())


def test_operation_ids_are_unique():
    ids = [described["operationId"] for described in operations()]
    assert len(set(ids)) == len(ids)
    assert all(one.isalpha() for one in ids)


def test_operations_have_one_described_tag():
    tags = {tag["name"] for tag in document()["tags"] if tag["description"]}
    assert {tuple(described["tags"]) for described in operations()} == {(tag,) for tag in tags}


def test_dashboard_login_has_the_socket_as_server():
    socket, dashboard = document()["servers"]
    assert [described["servers"] for described in operations() if "servers" in described] == [[socket]]
    default = Address(host="127.0.0.1", port=8765)
    assert dashboard["variables"]["address"]["default"] == str(default.model_dump(mode="json"))
    assert Config.model_fields["control"].annotation.model_fields["dashboard"].default == default


def test_security_schemes_are_those_of_the_dashboard():
    schemes = document()["components"]["securitySchemes"]
    assert schemes["token"] | {"description": ""} == {"type": "http", "scheme": "bearer", "description": ""}
    assert schemes["cookie"]["name"] == Credentials("", port=8765).cookie_name
    assert document()["security"] == [{}, *({name: []} for name in schemes)]


def test_references_resolve():
    def references(of):
        if isinstance(of, dict):
            yield from ([of["$ref"]] if "$ref" in of else [])
            of = list(of.values())
        if isinstance(of, list):
            for below in of:
                yield from references(below)

    found = set(references(document()))
    assert len(found) > 10
    for reference in found:
        target = document()
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


BODIES = {
    "verify": {"targets": ["17"]},
    "settings": {"concurrency": 3},
    "probe": {"remote": "drive"},
    "retry": {"targets": "all"},
    "cancel": {"targets": ["17"]},
}
JSON = [
    (method, path)
    for path, of in document()["paths"].items()
    for method, described in of.items()
    if "application/json" in described["responses"].get("200", {"content": ()})["content"]
]


@pytest.fixture
async def http(server):
    async with aiohttp.ClientSession("http://syncd", connector=aiohttp.UnixConnector(str(server))) as session:
        yield session


@pytest.mark.parametrize(("method", "path"), JSON)
async def test_responses_match_schemas(http, daemon, method, path):
    daemon.listed = [job(), job(18, state="uploading", sent=5)]
    query = {"target": "17"} if path == "/v1/job" else {}
    body = BODIES.get(path.rpartition("/")[2]) if method == "post" else None
    async with http.request(method, path, params=query, json=body) as answer:
        assert answer.status == 200, await answer.text()
        got = await answer.json()
    schema = document()["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    where = "LogEvent" if path == "/v1/log" else "$"
    assert list(problems(got, schema, where)) == []


async def test_error_matches_schema(http):
    async with http.get("/v1/job?target=404") as answer:
        assert list(problems(await answer.json(), {"$ref": "#/components/schemas/Error"})) == []


async def test_query_parameters_are_those_of_the_routes(http):
    for path, of in document()["paths"].items():
        if "get" in of and path.startswith("/v1/") and path != "/v1/openapi.json":
            named = {one["name"] for one in of["get"]["parameters"]}
            if named:
                async with http.get(path, params={"nonsense": "1"}) as answer:
                    error = (await answer.json())["error"]
                assert error.endswith(f"known are {', '.join(sorted(named))}"), path


async def test_body_fields_are_those_of_the_routes(http):
    for path, of in document()["paths"].items():
        if "post" in of:
            body = of["post"].get("requestBody", {"content": {"application/json": {"schema": {"properties": {}}}}})
            named = body["content"]["application/json"]["schema"]["properties"]
            async with http.post(path, json={"nonsense": 1}) as answer:
                error = (await answer.json())["error"]
            known = f": known are {', '.join(sorted(named))}" if named else ""
            assert error == f"unknown field 'nonsense'{known}", path


def test_only_drop_takes_a_file():
    paths = document()["paths"]
    bodies = {path: of["put"]["requestBody"]["content"] for path, of in paths.items() if "put" in of}
    assert {path: list(content) for path, content in bodies.items()} == {"/v1/drop": ["application/octet-stream"]}
    assert not [path for path, of in paths.items() if "requestBody" in of.get("get", {})]


def test_event_kinds_are_described():
    described = document()["paths"]["/v1/events"]["get"]
    schema = described["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert all(kind in schema["description"] for kind in EVENT_KINDS)


def test_problems_finds_schema_violations():
    schema = {"$ref": "#/components/schemas/Job"}
    assert list(problems(job(), schema)) == []
    for wrong in ({"size": "1"}, {"state": None}, {"extra": 1}, {"id": True}):
        assert list(problems(job(**wrong), schema)), wrong
    assert list(problems({"id": 1}, schema))
