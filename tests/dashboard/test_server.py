"""The dashboard's server with real sockets: access rules, limits and response headers."""

import asyncio
import json
import socket
import stat
from contextlib import AsyncExitStack, suppress

import pytest
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs
from yarl import URL

from syncd.control import connection
from syncd.control.service import NotFoundError
from syncd.dashboard import middleware
from syncd.dashboard import server as server_module
from syncd.dashboard.auth import MAX_TICKETS, TICKET_LIFETIME_SECONDS, Credentials
from syncd.dashboard.server import TOKEN_FILE
from syncd.dashboard.static_files import Page
from tests.dashboard.conftest import running_dashboard
from tests.support.wait import wait_until

# Login.


async def test_login_ticket_sets_cookie_with_full_access(anonymous_client, logged_in_client):
    assert await logged_in_client.status("GET", "/") == 200
    assert await logged_in_client.status("GET", "/v1/status") == 200
    assert await logged_in_client.status("POST", "/v1/start") == 200
    assert await logged_in_client.status("GET", "/metrics") == 200
    assert logged_in_client.token not in logged_in_client.cookie["Cookie"]


async def test_cookie_is_strict_and_http_only(anonymous_client):
    async with anonymous_client.session.get(anonymous_client.dashboard.login_url()) as answer:
        assert answer.status == 200
        (cookie,) = answer.headers.getall("Set-Cookie")
        assert 'http-equiv="refresh" content="0; url=/"' in await answer.text()
    attributes = {part.strip() for part in cookie.split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
    assert cookie.startswith(f"syncd-{URL(anonymous_client.dashboard.url).port}=")


async def test_ticket_works_once(anonymous_client):
    ticket = anonymous_client.dashboard.login_url()
    statuses = []
    for _ in range(2):
        async with anonymous_client.session.get(ticket) as answer:
            statuses.append((answer.status, "Set-Cookie" in answer.headers))
    assert statuses == [(200, True), (401, False)]


async def test_ticket_expires_after_a_minute(anonymous_client, clock):
    early, late = anonymous_client.dashboard.login_url(), anonymous_client.dashboard.login_url()
    clock.now += TICKET_LIFETIME_SECONDS - 0.1
    async with anonymous_client.session.get(early) as answer:
        assert answer.status == 200
    clock.now += 0.1
    async with anonymous_client.session.get(late) as answer:
        assert answer.status == 401


async def test_ticket_over_limit_invalidates_oldest(anonymous_client):
    first, *_, last = [anonymous_client.dashboard.login_url() for _ in range(MAX_TICKETS + 1)]
    async with anonymous_client.session.get(first) as answer:
        assert answer.status == 401
    async with anonymous_client.session.get(last) as answer:
        assert answer.status == 200


async def test_head_request_does_not_redeem_ticket(anonymous_client):
    ticket = anonymous_client.dashboard.login_url()
    async with anonymous_client.session.head(ticket) as answer:
        assert answer.status == 401
    async with anonymous_client.session.get(ticket) as answer:
        assert answer.status == 200


async def test_logged_in_browser_can_use_old_ticket(logged_in_client):
    assert await logged_in_client.status("GET", "/login?ticket=old") == 200


async def test_dashboard_issues_no_tickets(logged_in_client):
    assert await logged_in_client.status("POST", "/v1/dashboard") == 404
    assert (
        await logged_in_client.status("POST", "/v1/dashbo%61rd", Authorization=f"Bearer {logged_in_client.token}")
        == 404
    )


# Access rules.


@pytest.mark.parametrize(
    "path", ["/v1/status", "/v1/events", "/v1/openapi.json", "/v1/nothing", "/healthz", "/metrics"]
)
async def test_api_without_credentials_returns_401(anonymous_client, daemon, path):
    async with anonymous_client.ask("GET", path) as answer:
        assert answer.status == 401
        assert "syncd ctl open" in (await answer.json())["error"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert daemon.asked == []


@pytest.mark.parametrize("path", ["/", "/login", "/login?ticket=x", "/nothing", "/index.html"])
async def test_page_without_credentials_shows_login_help(anonymous_client, path):
    async with anonymous_client.ask("GET", path) as answer:
        assert (answer.status, answer.content_type) == (401, "text/html")
        assert "syncd ctl open" in await answer.text()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_command_without_credentials_does_nothing(anonymous_client, daemon, method):
    assert await anonymous_client.status(method, "/v1/stop") == 401
    assert daemon.asked == []


async def test_token_grants_access(anonymous_client):
    assert await anonymous_client.status("GET", "/v1/status", Authorization=f"Bearer {anonymous_client.token}") == 200
    assert await anonymous_client.status("POST", "/v1/start", Authorization=f"bearer {anonymous_client.token}") == 200


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer é{}"])
async def test_wrong_token_is_rejected(anonymous_client, given):
    assert await anonymous_client.status("GET", "/v1/status", Authorization=given.format(anonymous_client.token)) == 401


async def test_wrong_cookie_is_rejected(logged_in_client, anonymous_client):
    name, _, value = logged_in_client.cookie["Cookie"].partition("=")
    for wrong in (f"{name}=", f"{name}=x{value}", f"{name}x={value}", f"{name}={logged_in_client.token}", f"{name}=é"):
        assert await anonymous_client.status("GET", "/v1/status", Cookie=wrong) == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{}", "127.0.0.1", "127.0.0.1:1", "localhost:{}@evil.example", "LOCALHOST.:{}", ""],
)
async def test_foreign_host_header_is_rejected(logged_in_client, daemon, host):
    """DNS rebinding: an attacker's host name resolves to this address.

    For the browser, its requests are of the same origin.
    """
    port = URL(logged_in_client.dashboard.url).port
    assert await logged_in_client.status("GET", "/v1/status", Host=host.format(port)) == 421
    assert await logged_in_client.status("GET", "/login", Host=host.format(port)) == 421
    assert daemon.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "[::1]:{}"])
async def test_own_host_names_are_accepted(logged_in_client, host):
    assert (
        await logged_in_client.status("GET", "/v1/status", Host=host.format(URL(logged_in_client.dashboard.url).port))
        == 200
    )


async def test_two_host_headers_are_rejected(logged_in_client):
    host = logged_in_client.dashboard.url.removeprefix("http://")
    raw = (
        f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\nHost: evil\r\nCookie: {logged_in_client.cookie['Cookie']}\r\n\r\n"
    )
    assert status_of(await say(logged_in_client.dashboard, raw)) in (400, 421)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://{}", "http://{}.evil"]
)
async def test_other_origin_is_rejected(logged_in_client, daemon, method, origin):
    origin = origin.format(logged_in_client.dashboard.url.removeprefix("http://"))
    assert (
        await logged_in_client.status(method, "/v1/start" if method == "POST" else "/v1/status", Origin=origin) == 403
    )
    assert daemon.asked == []


async def test_own_origin_is_accepted(logged_in_client):
    same = {"Origin": logged_in_client.dashboard.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
    assert await logged_in_client.status("POST", "/v1/start", **same) == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_form_of_other_site_is_rejected(logged_in_client, daemon, site):
    """Another port of this machine is the same site: its requests carry the SameSite cookie."""
    of_form = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"}
    assert await logged_in_client.status("POST", "/v1/shutdown", **of_form) == 403
    assert daemon.asked == []


@pytest.mark.parametrize("dest", ["empty", "image", "iframe", "script"])
async def test_cross_site_link_is_allowed_but_not_read(logged_in_client, daemon, dest):
    assert (
        await logged_in_client.status("GET", "/v1/status", **{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": dest})
        == 403
    )
    assert daemon.asked == []
    for site in ("cross-site", "none"):
        assert (
            await logged_in_client.status("GET", "/", **{"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"}) == 200
        )


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 421), ("::1", 421), ("192.0.2.1", 403), ("::2", 403)])
async def test_remote_peer_is_rejected(peer, status):
    """The peer address is checked first; a local client fails only the check of ``Host``."""

    class Transport(asyncio.Transport):
        def get_extra_info(self, name, default=None):
            return (peer, 1234) if name == "peername" else default

    check_access = middleware.make_middleware(
        Credentials("token", port=1), hosts=(), locked=Page(body=b"", content_type="", tag="")
    )
    answer = await check_access(make_mocked_request("GET", "/", transport=Transport()), None)
    assert answer.status == status


async def test_rejection_reveals_no_credentials(anonymous_client):
    for name, value in (("Authorization", "Bearer wr0ng"), ("Cookie", "syncd-1=wr0ng"), ("Origin", "http://wr0ng")):
        async with anonymous_client.ask("GET", "/v1/status", headers={name: value}) as answer:
            text = f"{await answer.text()} {answer.headers}"
            assert anonymous_client.token not in text
            assert "wr0ng" not in text


# Responses.

TRICKS = [
    "/static/../auth.py",
    "/static/%2e%2e/auth.py",
    "/static/..%2fauth.py",
    "/static/..%5cauth.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/./index.html",
    "/static/index.html/",
    "/static/index.html%00.js",
    "/static/",
    "/static",
]


@pytest.mark.parametrize("path", TRICKS)
async def test_static_path_cannot_leave_folder(logged_in_client, path):
    host, cookie = logged_in_client.dashboard.url[7:], logged_in_client.cookie["Cookie"]
    answer = await say(logged_in_client.dashboard, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n")
    assert status_of(answer) in (400, 404)
    assert b"import" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/static/index.html", "text/html; charset=utf-8"),
        ("/static/app.js", "text/javascript; charset=utf-8"),
        ("/static/manifest.webmanifest", "application/manifest+json"),
    ],
)
async def test_static_files_have_content_types(logged_in_client, path, kind):
    async with logged_in_client.ask("GET", path, headers=logged_in_client.cookie) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["Cache-Control"] == "no-cache"
        assert await answer.read()
        tag = answer.headers["ETag"]
    async with logged_in_client.ask(
        "GET", path, headers={**logged_in_client.cookie, "If-None-Match": f'"x", W/{tag}, {tag}'}
    ) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
    async with logged_in_client.ask("GET", path, headers={**logged_in_client.cookie, "If-None-Match": '"x"'}) as answer:
        assert answer.status == 200


ANSWERS = [
    ("GET", "/", {}, 200),
    ("GET", "/static/app.js", {}, 200),
    ("GET", "/v1/status", {}, 200),
    ("GET", "/login?ticket=x", {"Cookie": ""}, 401),
    ("GET", "/v1/status", {"Cookie": ""}, 401),
    ("GET", "/v1/status", {"Host": "evil"}, 421),
    ("GET", "/v1/status", {"Origin": "http://evil"}, 403),
    ("GET", "/v1/nothing", {}, 404),
    ("GET", "/static/nothing", {}, 404),
    ("GET", "/v1/start", {}, 405),
    ("GET", "/v1/job?target=500", {}, 500),
    ("GET", "/v1/events", {}, 200),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_every_response_has_security_headers(logged_in_client, method, path, headers, status):
    async with logged_in_client.ask(method, path, headers={**logged_in_client.cookie, **headers}) as answer:
        assert answer.status == status
        for name in middleware.HEADERS.keys() - {"Cache-Control"}:
            assert answer.headers.getall(name) == [middleware.HEADERS[name]]
        assert answer.headers.getall("Cache-Control") in (["no-store"], ["no-cache"])
        assert "Access-Control-Allow-Origin" not in answer.headers


# Limits.


async def test_server_fifty_event_streams_receive_events(logged_in_client, daemon):
    async with AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(logged_in_client.ask("GET", "/v1/events", headers=logged_in_client.cookie))
            for _ in range(50)
        ]
        daemon.hub.publish("daemon", {"state": "stopped"})
        for page in pages:
            assert page.status == 200
            while b'{"state": "stopped"}' not in await page.content.readline():
                pass


async def test_connection_over_limit_gets_503(daemon, tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)
    async with running_dashboard(daemon, tmp_path) as dashboard, AsyncExitStack() as stack:
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", URL(dashboard.url).port)
            stack.callback(writer.close)
            writer.write(b"GET / HTTP/1.1\r\n")
        assert status_of(await say(dashboard, "")) == 503


async def test_unread_connection_is_closed(daemon, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "STALL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 1)
    async with running_dashboard(daemon, tmp_path) as dashboard:
        raw = f"GET /static/app.js HTTP/1.1\r\nHost: {dashboard.url[7:]}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", URL(dashboard.url).port, limit=1024)
        writer.transport.pause_reading()
        writer.write(raw.encode() * 20_000)
        await wait_until(lambda: dashboard._runner.server.requests_count > 100)

        async def accepts_again():
            return status_of(await say(dashboard, raw)) == 200

        await wait_until(accepts_again)
        writer.transport.abort()


async def test_slow_request_head_times_out(daemon, tmp_path, monkeypatch):
    """Each byte arrives in time, but the request head never ends."""
    monkeypatch.setattr(server_module, "IDLE_TIMEOUT_SECONDS", 0.3)
    async with running_dashboard(daemon, tmp_path) as dashboard, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(dashboard.url).port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait((ended,), timeout=0.02)
        with suppress(ConnectionError):
            assert await ended == b""
        writer.transport.abort()


@pytest.mark.parametrize(
    "head", ["X: " + "x" * 20_000, "\r\n".join(f"X{n}: x" for n in range(2000)), "\x00: x", " : x"]
)
async def test_large_request_head_is_rejected(dashboard, head):
    raw = f"GET / HTTP/1.1\r\nHost: {dashboard.url[7:]}\r\n{head}\r\n\r\n"
    with capture_logs() as logged:
        answer = await say(dashboard, raw)
    assert status_of(answer) == 400
    assert middleware.CSP.encode() in answer
    assert logged == []


async def say(dashboard, raw):
    """Send raw bytes; return the start of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(dashboard.url).port)
    try:
        writer.write(raw.encode())
        async with asyncio.timeout(10):
            return await reader.read(100_000)
    finally:
        writer.transport.abort()


def status_of(answer):
    assert answer.startswith(b"HTTP/1."), answer
    return int(answer.split(b" ", 2)[1])


# Failures to start.


async def test_port_in_use_is_logged(daemon, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other, capture_logs() as logged:
        port = other.getsockname()[1]
        async with running_dashboard(daemon, tmp_path, port=port) as dashboard:
            assert dashboard.url is None
            with pytest.raises(NotFoundError, match=rf"127.0.0.1:{port}: Address already in use: .*control\.dashboard"):
                dashboard.login_url()
    (event,) = logged
    assert (event["event"], event["log_level"], event["address"]) == (
        "dashboard.unavailable",
        "error",
        f"127.0.0.1:{port}",
    )
    assert "set another address in control.dashboard" in event["reason"]


async def test_unwritable_token_is_logged(daemon, tmp_path):
    (tmp_path / TOKEN_FILE).mkdir()
    async with running_dashboard(daemon, tmp_path) as dashboard:
        with pytest.raises(NotFoundError, match=rf"{TOKEN_FILE}, then restart"):
            dashboard.login_url()


async def test_login_url_before_start_and_after_stop_raises(daemon, tmp_path):
    async with running_dashboard(daemon, tmp_path) as dashboard:
        assert json.loads(json.dumps(dashboard.login_url())).startswith(dashboard.url)
    with pytest.raises(NotFoundError):
        dashboard.login_url()


async def test_ipv6_loopback_works(daemon, tmp_path):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with running_dashboard(daemon, tmp_path, host="::1") as dashboard:
        if dashboard.url is None:
            pytest.skip("no IPv6 here")
        assert dashboard.url.startswith("http://[::1]:")
        assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
