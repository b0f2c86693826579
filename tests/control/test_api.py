"""Client, socket and routes with a fake daemon: calls arrive intact, errors are one line."""

import io
import os
from datetime import datetime, timedelta, timezone

import aiohttp
import pytest

from syncd.control.client import RequestRefusedError
from syncd.control.service import JobQuery
from syncd.core.states import State
from tests.control.fake import STATUS

ODD = os.fsdecode(b"/srv/inbox/\xff new\nline \xd9\x85.jpg")


@pytest.fixture
async def http(server):
    async with aiohttp.ClientSession("http://syncd", connector=aiohttp.UnixConnector(str(server))) as session:
        yield session


async def test_status_returns_document_unchanged(ask):
    assert await ask("status") == STATUS


@pytest.mark.parametrize(
    ("name", "args", "arrives", "answer"),
    [
        ("start", [], "start", None),
        ("shutdown", [], "shutdown", None),
        ("reload", [], "reload", ["remotes.drive.url changed"]),
        ("rescan", [], ("rescan", None), None),
        ("rescan", [ODD], ("rescan", ODD), None),
        ("retry", [None], ("retry", None), 2),
        ("retry", [[17, ODD]], ("retry", [17, ODD]), 2),
        ("cancel", [[ODD]], ("cancel", [ODD]), 1),
    ],
)
async def test_client_method_calls_service(ask, daemon, name, args, arrives, answer):
    assert await ask(name, *args) == answer
    assert daemon.asked == [arrives]


async def test_probe_names_the_remote(http, daemon):
    async with http.post("/v1/probe", json={"remote": "drive"}) as answer:
        assert (answer.status, await answer.json()) == (200, {})
    assert daemon.asked == [("probe", "drive")]


async def test_rescan_with_null_path_scans_all(http, daemon):
    async with http.post("/v1/rescan", json={"path": None}) as answer:
        assert answer.status == 200
    assert daemon.asked == [("rescan", None)]


@pytest.mark.parametrize("now", [True, False])
async def test_stop_passes_now(ask, daemon, now):
    await ask("stop", now=now)
    assert daemon.asked == [("stop", now)]


async def test_stop_passes_end(ask, http, daemon):
    end = datetime(2026, 11, 30, 7, tzinfo=timezone(timedelta(hours=2)))
    await ask("stop", now=True, until=end)
    async with http.post("/v1/stop", json={"until": None}) as answer:
        assert answer.status == 200
    assert daemon.asked == [("stop", True, end), ("stop", False)]


async def test_jobs_passes_all_parameters(ask, daemon):
    query = JobQuery(state=State.FAILED, limit=7, before="c1", search="a&b=é %", siblings=True)
    page = await ask("jobs", query)
    assert daemon.asked == [("jobs", query)]
    assert (page["jobs"], page["next"]) == (daemon.listed, "c2")


async def test_jobs_without_query_uses_defaults(ask, daemon):
    await ask("jobs")
    assert daemon.asked == [("jobs", JobQuery())]


async def test_jobs_group_file_adds_siblings(http, daemon):
    for group, siblings in (("file", True), ("job", False), ("", False)):
        async with http.get("/v1/jobs", params={"group": group}) as answer:
            assert (await answer.json())["siblings"] == []
        assert daemon.asked.pop() == ("jobs", JobQuery(siblings=siblings))
    async with http.get("/v1/jobs", params={"group": "folder"}) as answer:
        assert answer.status == 400


async def test_show_returns_history(ask, daemon):
    (shown,) = await ask("show", ODD)
    assert daemon.asked == [("show", ODD)]
    assert shown["history"][0]["state"] == "queued"


async def test_client_raises_error_of_service(ask):
    with pytest.raises(RequestRefusedError, match=r"^there is no job 404$"):
        await ask("show", 404)


async def test_reload_invalid_config_returns_problems(ask, daemon):
    daemon.problems = ["config.yaml:3: remotes: x", "config.yaml:9: folders: y"]
    with pytest.raises(RequestRefusedError) as caught:
        await ask("reload")
    assert caught.value.problems == daemon.problems


async def test_internal_error_hides_exception_text(ask):
    with pytest.raises(RequestRefusedError, match="internal error") as caught:
        await ask("show", 500)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/start", None, 405),
        ("POST", "/v1/status", None, 405),
        ("POST", "/v1/start", b"{", 400),
        ("POST", "/v1/start", b"[]", 400),
        ("POST", "/v1/start", b"\xff", 400),
        ("POST", "/v1/start", b"[" * 100_000, 400),
        ("POST", "/v1/stop", b'{"later": true}', 400),
        ("POST", "/v1/stop", b'{"now": 1}', 400),
        ("POST", "/v1/stop", b'{"until": "07:00"}', 400),
        ("POST", "/v1/stop", b'{"until": "2026-11-30T07:00:00"}', 400),
        ("POST", "/v1/stop", b'{"until": "0001-01-01T00:00:00+10:00"}', 400),
        ("POST", "/v1/stop", b'{"until": 17}', 400),
        ("POST", "/v1/rescan", b'{"path": 17}', 400),
        ("POST", "/v1/probe", b'{"remote": []}', 400),
        ("POST", "/v1/rescan", b'{"path": "17"}', 400),
        ("POST", "/v1/rescan", b'{"path": "/srv"}', 400),
        ("PUT", "/v1/drop?name=a.jpg", b"x", 400),
        ("POST", "/v1/retry", b"", 400),
        ("POST", "/v1/retry", b'{"targets": []}', 400),
        ("POST", "/v1/cancel", b'{"targets": "all"}', 400),
        ("POST", "/v1/cancel", b'{"targets": [17]}', 400),
        ("GET", "/v1/jobs?state=lost", None, 400),
        ("GET", "/v1/jobs?limit=0", None, 400),
        ("GET", "/v1/jobs?limit=1001", None, 400),
        ("GET", "/v1/jobs?limit=1e3", None, 400),
        ("GET", "/v1/jobs?stat=done", None, 400),
        ("GET", "/v1/job", None, 400),
        ("GET", "/v1/job?target=x", None, 400),
        ("GET", "/v1/job?target=404", None, 404),
    ],
)
async def test_invalid_request_returns_one_line_of_json(http, daemon, method, url, body, status):
    async with http.request(method, url, data=body) as answer:
        document = await answer.json()
    assert (answer.status, set(document)) == (status, {"error"})
    assert document["error"]
    assert "\n" not in document["error"]
    assert [asked for asked in daemon.asked if asked[0] != "show"] == []


async def test_wrong_method_returns_allow_header(http):
    async with http.get("/v1/start") as answer:
        assert answer.headers["Allow"] == "POST"


async def test_body_over_limit_returns_413(http):
    async with http.post("/v1/cancel", data=io.BytesIO(b" " * (1024 * 1024 + 1))) as answer:
        assert (answer.status, set(await answer.json())) == (413, {"error"})
