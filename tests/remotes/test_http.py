"""Test the HTTP client with misbehaving servers, over real sockets."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from yarl import URL

from syncd.core.errors import CutOff, FileChanged, Permanent, Scope, Transient
from syncd.remotes import http as http_module
from syncd.remotes.bodies import BytesBody, FormFile, MultipartForm, json_body
from syncd.remotes.http import MAX_RESPONSE_BYTES, redirect_target
from syncd.remotes.responses import Response
from tests.remotes.helpers import PIECE_BYTES, TOKEN, CountingThrottle, read_head, read_request, reply, reset, serve_app

OK = reply("200 OK", b"{}")
MIB = 1024 * 1024
RESET = "lost: connection reset by peer" if sys.platform != "win32" else "lost|closed the connection"


def text_body(size: int) -> BytesBody:
    return BytesBody(content_type="text/plain", data=b"x" * size)


async def test_post_sends_headers_and_body(make_http, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_request(reader))
        writer.write(OK)

    server = await start_server(handle)
    http = make_http(server.url + "/base", token=TOKEN, headers={"X-Key": "k-1"})
    answer = await http.post("/image", json_body({"name": "é"}))
    assert (answer.status, answer.json(), answer.request_line) == (200, {}, "POST /base/image")
    head, _, body = server.seen[0].decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert line == "POST /base/image HTTP/1.1"
    assert body == '{"name": "\\u00e9"}'
    fields = dict(header.split(": ", 1) for header in headers)
    assert fields["Content-Type"] == "application/json"
    assert fields["Content-Length"] == str(len(body))
    assert "Transfer-Encoding" not in fields
    assert fields["Authorization"] == f"Bearer {TOKEN}"
    assert fields["X-Key"] == "k-1"
    assert fields["User-Agent"] == "syncd/test"
    assert fields["Accept-Encoding"] == "identity"


async def test_get_reset_on_new_connection_is_not_repeated(make_http, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_head(reader))
        reset(writer)

    server = await start_server(handle)
    with pytest.raises(Transient):
        await make_http(server.url).get("/image")
    assert len(server.seen) == 1


async def test_post_on_stale_connection_is_repeated(make_http, start_server):
    async def handle(server, reader, writer):
        number = server.connections
        server.seen.append(await read_request(reader))
        writer.write(OK)
        request = await read_request(reader)
        if number > 1:
            server.seen.append(request)
            writer.write(OK)
        else:
            reset(writer)

    server, throttle = await start_server(handle), CountingThrottle()
    http = make_http(server.url, throttle=throttle)
    for _ in range(2):
        assert (await http.post("/image", text_body(3 * PIECE_BYTES))).status == 200
    assert server.connections == 2
    assert [len(request.partition(b"\r\n\r\n")[2]) for request in server.seen] == [3 * PIECE_BYTES] * 2
    assert sum(throttle.spent) == 9 * PIECE_BYTES


async def test_post_late_reset_on_kept_connection_is_failure(make_http, start_server, monkeypatch):
    """Only the scheduler can decide whether to send another request to this server."""

    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        await asyncio.sleep(0.1)
        reset(writer)

    monkeypatch.setattr("syncd.remotes.http._STALE_CONNECTION_SECONDS", 0.05)
    server = await start_server(handle)
    http = make_http(server.url)
    assert (await http.post("/image", text_body(PIECE_BYTES))).status == 200
    with pytest.raises(Transient, match=RESET):
        await http.post("/image", text_body(PIECE_BYTES))
    assert server.connections == 1


@pytest.mark.parametrize("end", [reset, lambda writer: writer.close()])
async def test_post_close_on_new_connection_is_failure(make_http, start_server, end):
    async def handle(server, reader, writer):
        await read_request(reader)
        end(writer)

    server = await start_server(handle)
    with pytest.raises(Transient, match="connection") as caught:
        await make_http(server.url).post("/image", text_body(10))
    assert (caught.value.scope, caught.value.overload) == (Scope.JOB, False)
    assert server.connections == 1


async def test_post_reset_within_body_is_transient(make_http, start_server):
    async def handle(server, reader, writer):
        await reader.readexactly(2 * PIECE_BYTES)
        reset(writer)

    server = await start_server(handle)
    with pytest.raises(Transient, match=RESET) as caught:
        await make_http(server.url).post("/image", text_body(8 * MIB))
    assert not isinstance(caught.value, CutOff)


@pytest.mark.parametrize("body", [text_body(8 * MIB), None])
async def test_post_late_reset_with_body_is_cut_off(make_http, start_server, monkeypatch, body):
    """The server may limit the time of a request. Only a request with a body can be smaller."""
    monkeypatch.setattr(http_module, "CUT_OFF_AFTER_SECONDS", 0.0)

    async def handle(server, reader, writer):
        await read_head(reader)
        reset(writer)

    server = await start_server(handle)
    with pytest.raises(Transient, match="connection") as caught:
        await make_http(server.url).post("/image", body)
    assert isinstance(caught.value, CutOff) is (body is not None)
    assert caught.value.overload is (body is not None)


async def test_post_refused_connection_is_not_cut_off(make_http, unused_tcp_port, monkeypatch):
    monkeypatch.setattr(http_module, "CUT_OFF_AFTER_SECONDS", 0.0)
    with pytest.raises(Transient) as caught:
        await make_http(f"http://127.0.0.1:{unused_tcp_port}").post("/image", text_body(10))
    assert not isinstance(caught.value, CutOff)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", "not valid HTTP"),
        (b"HTTP/1.1 2000 What\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "is incomplete"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip.", "is incomplete"),
        (b"HTTP/1.1 200 O", "without an answer"),
        (b"", "without an answer"),
    ],
)
async def test_post_malformed_response_is_transient(make_http, start_server, response, message):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(response)
        await writer.drain()

    server = await start_server(handle)
    with pytest.raises(Transient, match=message):
        await make_http(server.url, timeout=5).post("/image", text_body(10))


async def test_post_endless_response_is_truncated(make_http, start_server):
    sent = 0

    async def handle(server, reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"y" * PIECE_BYTES)
            await writer.drain()
            sent += PIECE_BYTES

    server = await start_server(handle)
    answer = await make_http(server.url).post("/image", text_body(10))
    assert answer.status == 500
    assert len(answer.body) == MAX_RESPONSE_BYTES
    assert sent < 20 * MIB


async def test_post_early_response_is_read(make_http, start_server):
    async def handle(server, reader, writer):
        await read_head(reader)
        writer.write(reply("413 Too Large", b'{"message": "10 kB at most"}'))
        await writer.drain()
        await reader.read(-1)

    server = await start_server(handle)
    http = make_http(server.url)
    answer = await http.post("/image", text_body(32 * MIB))
    assert (answer.status, answer.message(), answer.before_body_sent) == (413, "10 kB at most", True)
    assert str(http.failure(answer)).endswith("answered 413 to POST /image: 10 kB at most")


async def never_respond(_it: Any, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.Event().wait()


async def never_read(_it: Any, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half_response(_it: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await asyncio.Event().wait()


@pytest.mark.parametrize("handle", [never_respond, never_read, half_response])
async def test_post_stalled_connection_times_out(make_http, start_server, handle):
    server = await start_server(handle)
    started = time.monotonic()
    with pytest.raises(Transient, match=r"no data was transferred to or from .* for 0.2 s") as caught:
        await make_http(server.url, timeout=0.2).post("/image", text_body(16 * MIB if handle is never_read else 10))
    assert (caught.value.scope, caught.value.overload) == (Scope.JOB, True)
    assert time.monotonic() - started < 3


@pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")
async def test_post_kernel_buffers_little_unsent_data(make_http, start_server):
    server, throttle = await start_server(never_read, receive_buffer=PIECE_BYTES), CountingThrottle()
    with pytest.raises(Transient):
        await make_http(server.url, timeout=0.2, throttle=throttle).post("/image", text_body(16 * MIB))
    assert sum(throttle.spent) < MIB


async def test_post_stalled_within_piece_times_out(make_http, start_server):
    server = await start_server(never_read, receive_buffer=PIECE_BYTES)
    throttle = CountingThrottle(piece_bytes=16 * MIB)
    with pytest.raises(Transient, match="no data was transferred"):
        await make_http(server.url, timeout=0.2, throttle=throttle).post("/image", text_body(16 * MIB))


@pytest.mark.unix
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 4 * MIB])
async def test_post_slow_progress_does_not_time_out(make_http, start_server, piece_bytes):
    """Neither between pieces, nor within a piece that takes longer than the timeout."""

    async def handle(server, reader, writer):
        _, length = await read_head(reader)
        while length:
            length -= len(await reader.read(PIECE_BYTES))
            await asyncio.sleep(0.02)
        writer.write(reply("200 OK"))

    server = await start_server(handle, receive_buffer=PIECE_BYTES)
    started = time.monotonic()
    throttle = CountingThrottle(piece_bytes=piece_bytes)
    answer = await make_http(server.url, timeout=1, throttle=throttle).post("/image", text_body(4 * MIB))
    assert answer.status == 200
    assert time.monotonic() - started > 1.1, "the server was not slow enough to show anything"


async def test_post_slow_response_times_out(make_http, start_server):
    """If each byte restarted the timeout, the server could delay the response without limit."""

    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await asyncio.sleep(0.01)
            writer.write(b" ")
            await writer.drain()

    server = await start_server(handle)
    async with asyncio.timeout(5):
        with pytest.raises(Transient, match="no data was transferred"):
            await make_http(server.url, timeout=0.2).post("/image", text_body(10))


async def test_post_throttle_wait_does_not_time_out(make_http, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(OK)

    async def wait() -> None:
        await asyncio.sleep(0.25)

    server = await start_server(handle)
    throttle = CountingThrottle(wait=wait)
    assert (
        await make_http(server.url, timeout=0.2, throttle=throttle).post("/image", text_body(2 * PIECE_BYTES))
    ).status == 200
    assert throttle.spent == [PIECE_BYTES, PIECE_BYTES]


async def test_post_file_failure_ends_request(make_http, start_server):
    server = await start_server(never_respond)

    async def read() -> AsyncIterator[bytes]:
        yield b"x" * PIECE_BYTES
        raise FileChanged("it changed")

    upload = FormFile(field="file", filename="a", media_type="image/png", size=2 * PIECE_BYTES, read=read)
    with pytest.raises(FileChanged, match="it changed"):
        await make_http(server.url).post("/direct", MultipartForm(file=upload))


async def test_post_cancelled_closes_connection(make_http, start_server):
    closed = asyncio.Event()
    begun = asyncio.Event()

    async def handle(server, reader, writer):
        begun.set()
        await reader.read(-1)
        closed.set()

    server = await start_server(handle)
    request = asyncio.create_task(make_http(server.url).post("/image", text_body(10)))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.wait_for(closed.wait(), 5)


async def test_failure_redacts_secrets(make_http, start_server):
    async def handle(server, reader, writer):
        request = await read_request(reader)
        writer.write(reply("403 No", b'{"message": "you sent ' + request.partition(b"\r\n\r\n")[2] + b'"}'))

    server = await start_server(handle)
    http = make_http(server.url, token=TOKEN, headers={"X-Key": "key-secret"})
    answer = await http.post("/image", BytesBody(content_type="text/plain", data=f"{TOKEN} key-secret".encode()))
    assert str(http.failure(answer)).endswith("you sent *** ***")
    assert TOKEN not in repr(answer).replace(repr(answer.body), "")


SECRET = "hush-token-in-file/+=%41"


@pytest.mark.parametrize("safe", ["", "/+=%"])
async def test_failure_after_redirect_redacts_path(make_http, safe):
    """The URL library escapes other characters than the server did."""

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/image/1":
            return web.Response(status=302, headers={"Location": f"/{quote(f'Bearer {SECRET}', safe=safe)}"})
        return web.Response(status=500, text=request.raw_path)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with serve_app(app) as url:
        http = make_http(url, token=SECRET)
        answer = await http.get("/image/1", writer=RecordingWriter(99))
    message = str(http.failure(answer))
    assert message.count("***") == 2
    assert "hush" not in message


async def test_failure_after_redirect_redacts_host(make_http):
    """A host name is in lower case."""
    async with serve_app(redirecting_app("http://a.Hush-Token.invalid/")) as url:
        http = make_http(url, token="Hush-Token")
        answer = await http.get("/image/1")
        with pytest.raises(Transient) as raised:
            await http.get("/image/1", writer=RecordingWriter(99))
    for message in (str(http.failure(answer)), str(raised.value)):
        assert "a.***.invalid" in message
        assert "hush" not in message.lower()


async def test_too_many_redirects_redacts_path(make_http):
    async with serve_app(redirecting_app("/round")) as url:
        with pytest.raises(Permanent, match="more than 5 redirects") as raised:
            await make_http(url, token=SECRET).get(f"/{quote(SECRET, safe='=')}", writer=RecordingWriter(99))
    assert "hush" not in str(raised.value)


def redirecting_app(location: str, *, status: int = 302, seen: list[str] | None = None) -> web.Application:
    async def redirect(request: web.Request) -> web.Response:
        if seen is not None:
            seen.append(request.path)
        return web.Response(status=status, headers={"Location": location})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    return app


def recording_app(seen: list[web.BaseRequest]) -> web.Application:
    async def note(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text="here")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    return app


async def test_get_redirect_to_other_host_sends_no_secret(make_http):
    seen: list[web.BaseRequest] = []
    async with serve_app(recording_app(seen)) as other, serve_app(redirecting_app(f"{other}/there?sig=1")) as first:
        http = make_http(first, token=TOKEN, headers={"X-Key": "key-secret"})
        await http.get("/image/1", writer=(writer := RecordingWriter(99)))
    assert writer.taken == len(b"here")
    assert seen[0].path_qs == "/there?sig=1"
    assert not {"Authorization", "X-Key"} & set(seen[0].headers)
    assert TOKEN not in str(seen[0].headers)


async def test_get_redirect_on_same_server_sends_token(make_http):
    seen: list[web.BaseRequest] = []
    app = recording_app(seen)

    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "../new/1"})

    inner = web.Application()
    inner.router.add_get("/image/1", redirect)
    inner.router.add_get("/new/1", next(iter(app.router.routes())).handler)
    async with serve_app(inner) as url:
        await make_http(url, token=TOKEN).get("/image/1", writer=(writer := RecordingWriter(99)))
    assert writer.taken == len(b"here")
    assert seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


async def test_get_too_many_redirects_is_permanent(make_http):
    seen: list[str] = []
    async with serve_app(redirecting_app("/round", seen=seen)) as url:
        with pytest.raises(Permanent, match="more than 5 redirects"):
            await make_http(url).get("/image/1", writer=RecordingWriter(99))
    assert seen == ["/image/1", *["/round"] * 5]


@pytest.mark.parametrize("call", ["post", "get"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_api_call_redirect_is_remote_failure(make_http, status, call):
    """The API has moved for all files, and the token must not be sent to another host."""
    seen: list[web.BaseRequest] = []
    async with (
        serve_app(recording_app(seen)) as other,
        serve_app(redirecting_app(f"{other}/x?key=1", status=status)) as first,
    ):
        http = make_http(first, token=TOKEN)
        answer = await (http.get("/image/1") if call == "get" else http.post("/image", text_body(10)))
        failure = http.failure(answer)
    assert seen == []
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.REMOTE
    assert str(failure).endswith(f"redirects to {other}; set url to that")


class RecordingWriter:
    """A writer that ends the download after ``limit`` bytes."""

    def __init__(self, limit: int, *, length_wanted: bool = True) -> None:
        self.limit = limit
        self.taken = 0
        self.length: int | None = -1
        self.length_wanted = length_wanted

    def expect(self, length: int | None) -> bool:
        self.length = length
        return self.length_wanted

    def write(self, data: bytes) -> bool:
        self.taken += len(data)
        return self.taken < self.limit


async def test_get_writer_ends_download(make_http, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"y" * PIECE_BYTES)
            await writer.drain()

    server, writer = await start_server(handle), RecordingWriter(3 * MIB)
    answer = await make_http(server.url).get("/image/1", accept="text/plain", writer=writer)
    assert (answer.status, answer.body, writer.length) == (200, b"", None)
    assert 3 * MIB <= writer.taken < 4 * MIB


async def test_get_unwanted_length_reads_no_body(make_http, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(reply("200 OK", b"12345"))
        await writer.drain()

    server, writer = await start_server(handle), RecordingWriter(99, length_wanted=False)
    await make_http(server.url).get("/image/1", writer=writer)
    assert (writer.length, writer.taken) == (5, 0)


async def test_get_error_body_is_not_written(make_http, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(reply("404 No", b"gone"))

    server, writer = await start_server(handle), RecordingWriter(99)
    answer = await make_http(server.url).get("/image/1", writer=writer)
    assert (answer.body, writer.taken) == (b"gone", 0)


@pytest.mark.parametrize(
    "location", ["http://host.test/x", "ftp://host.test/", "http://[", "mailto:me@host.test", "http://host:0x1/"]
)
def test_redirect_target_rejects_unsafe_location(location):
    answer = Response(host="host.test", request_line="GET /x", status=302, headers={"location": location})
    with pytest.raises(Permanent, match=r"host\.test answered GET /x with a redirect"):
        redirect_target(URL("https://host.test/x"), answer)


def test_redirect_target_drops_user_and_password():
    answer = Response(
        host="host.test", request_line="GET /x", status=302, headers={"location": "https://me:pw@b.test/y"}
    )
    assert str(redirect_target(URL("https://host.test/x"), answer)) == "https://b.test/y"
