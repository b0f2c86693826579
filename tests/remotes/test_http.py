"""The door to a server that misbehaves, over real sockets."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from syncd.core.errors import CutOff, FileChanged, Permanent, Scope, Transient
from syncd.remotes import http as http_module
from syncd.remotes.bodies import PIECE_BYTES, BytesBody, FormFile, MultipartForm, json_body
from syncd.remotes.http import MAX_RESPONSE_BYTES
from tests.remotes.helpers import TOKEN, Meter, read_head, read_request, reply, reset, serving

OK = reply("200 OK", b"{}")
MIB = 1024 * 1024
RESET = "lost: connection reset by peer" if sys.platform != "win32" else "lost|closed the connection"


def block(size: int) -> BytesBody:
    return BytesBody(content_type="text/plain", data=b"x" * size)


async def test_a_request_as_the_server_sees_it(http_to, rogue):
    async def handle(it, reader, writer):
        it.seen.append(await read_request(reader))
        writer.write(OK)

    server = await rogue(handle)
    http = http_to(server.url + "/base", token=TOKEN, headers={"X-Key": "k-1"})
    answer = await http.post("/image", json_body({"name": "é"}))
    assert (answer.status, answer.json(), answer.request_line) == (200, {}, "POST /base/image")
    head, _, body = server.seen[0].decode().partition("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert line == "POST /base/image HTTP/1.1"
    assert body == '{"name": "\\u00e9"}'
    told = dict(header.split(": ", 1) for header in headers)
    assert told["Content-Type"] == "application/json"
    assert told["Content-Length"] == str(len(body))
    assert "Transfer-Encoding" not in told
    assert told["Authorization"] == f"Bearer {TOKEN}"
    assert told["X-Key"] == "k-1"
    assert told["User-Agent"] == "syncd/test"
    assert told["Accept-Encoding"] == "identity"


async def test_a_question_that_a_new_connection_swallows_is_asked_once(http_to, rogue):
    async def handle(it, reader, writer):
        it.seen.append(await read_head(reader))
        reset(writer)

    server = await rogue(handle)
    with pytest.raises(Transient):
        await http_to(server.url).get("/image")
    assert len(server.seen) == 1


async def test_a_request_that_meets_a_closing_connection_is_repeated(http_to, rogue):
    async def handle(it, reader, writer):
        number = it.connections
        it.seen.append(await read_request(reader))
        writer.write(OK)
        request = await read_request(reader)
        if number > 1:
            it.seen.append(request)
            writer.write(OK)
        else:
            reset(writer)

    server, meter = await rogue(handle), Meter()
    http = http_to(server.url, throttle=meter)
    for _ in range(2):
        assert (await http.post("/image", block(3 * PIECE_BYTES))).status == 200
    assert server.connections == 2
    assert [len(request.partition(b"\r\n\r\n")[2]) for request in server.seen] == [3 * PIECE_BYTES] * 2
    assert sum(meter.spent) == 9 * PIECE_BYTES


async def test_one_that_waited_long_and_was_cut_off_is_a_failure(http_to, rogue, monkeypatch):
    """Only the scheduler knows whether the server is still to be asked."""

    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)
        await asyncio.sleep(0.1)
        reset(writer)

    monkeypatch.setattr("syncd.remotes.http._STALE_CONNECTION_SECONDS", 0.05)
    server = await rogue(handle)
    http = http_to(server.url)
    assert (await http.post("/image", block(PIECE_BYTES))).status == 200
    with pytest.raises(Transient, match=RESET):
        await http.post("/image", block(PIECE_BYTES))
    assert server.connections == 1


@pytest.mark.parametrize("end", [reset, lambda writer: writer.close()])
async def test_a_new_connection_that_closes_is_a_failure(http_to, rogue, end):
    async def handle(it, reader, writer):
        await read_request(reader)
        end(writer)

    server = await rogue(handle)
    with pytest.raises(Transient, match="connection") as caught:
        await http_to(server.url).post("/image", block(10))
    assert (caught.value.scope, caught.value.overload) == (Scope.JOB, False)
    assert server.connections == 1


async def test_a_reset_in_the_middle_of_the_body(http_to, rogue):
    async def handle(it, reader, writer):
        await reader.readexactly(2 * PIECE_BYTES)
        reset(writer)

    server = await rogue(handle)
    with pytest.raises(Transient, match=RESET) as caught:
        await http_to(server.url).post("/image", block(8 * MIB))
    assert not isinstance(caught.value, CutOff)


@pytest.mark.parametrize("body", [block(8 * MIB), None])
async def test_a_body_that_is_cut_off_after_seconds(http_to, rogue, monkeypatch, body):
    """Then the server may limit the time of a request; one without a body can't become smaller."""
    monkeypatch.setattr(http_module, "CUT_OFF_AFTER_SECONDS", 0.0)

    async def handle(it, reader, writer):
        await read_head(reader)
        reset(writer)

    server = await rogue(handle)
    with pytest.raises(Transient, match="connection") as caught:
        await http_to(server.url).post("/image", body)
    assert isinstance(caught.value, CutOff) is (body is not None)
    assert caught.value.overload is (body is not None)


async def test_who_is_not_there_has_cut_off_nothing(http_to, unused_tcp_port, monkeypatch):
    monkeypatch.setattr(http_module, "CUT_OFF_AFTER_SECONDS", 0.0)
    with pytest.raises(Transient) as caught:
        await http_to(f"http://127.0.0.1:{unused_tcp_port}").post("/image", block(10))
    assert not isinstance(caught.value, CutOff)


@pytest.mark.parametrize(
    ("told", "words"),
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
async def test_an_answer_that_makes_no_sense(http_to, rogue, told, words):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(told)
        await writer.drain()

    server = await rogue(handle)
    with pytest.raises(Transient, match=words):
        await http_to(server.url, timeout=5).post("/image", block(10))


async def test_an_answer_without_end_is_cut(http_to, rogue):
    sent = 0

    async def handle(it, reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"y" * PIECE_BYTES)
            await writer.drain()
            sent += PIECE_BYTES

    server = await rogue(handle)
    answer = await http_to(server.url).post("/image", block(10))
    assert answer.status == 500
    assert len(answer.body) == MAX_RESPONSE_BYTES
    assert sent < 20 * MIB


async def test_an_early_answer_is_heard_though_the_body_is_not_read(http_to, rogue):
    async def handle(it, reader, writer):
        await read_head(reader)
        writer.write(reply("413 Too Large", b'{"message": "10 kB at most"}'))
        await writer.drain()
        await reader.read(-1)

    server = await rogue(handle)
    http = http_to(server.url)
    answer = await http.post("/image", block(32 * MIB))
    assert (answer.status, answer.message(), answer.before_body_sent) == (413, "10 kB at most", True)
    assert str(http.failure(answer)).endswith("answered 413 to POST /image: 10 kB at most")


async def forever(_it: Any, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.Event().wait()


async def never_reading(_it: Any, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half_an_answer(_it: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await asyncio.Event().wait()


@pytest.mark.parametrize("handle", [forever, never_reading, half_an_answer])
async def test_a_stall_ends(http_to, rogue, handle):
    server = await rogue(handle)
    started = time.monotonic()
    with pytest.raises(Transient, match=r"no data was transferred to or from .* for 0.2 s") as caught:
        await http_to(server.url, timeout=0.2).post("/image", block(16 * MIB if handle is never_reading else 10))
    assert (caught.value.scope, caught.value.overload) == (Scope.JOB, True)
    assert time.monotonic() - started < 3


@pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")
async def test_the_kernel_takes_little_that_it_cannot_send(http_to, rogue):
    server, meter = await rogue(never_reading, receive_buffer=PIECE_BYTES), Meter()
    with pytest.raises(Transient):
        await http_to(server.url, timeout=0.2, throttle=meter).post("/image", block(16 * MIB))
    assert sum(meter.spent) < MIB


@pytest.mark.unix
async def test_a_slow_server_that_moves_is_waited_for(http_to, rogue):
    async def handle(it, reader, writer):
        _, length = await read_head(reader)
        while length:
            length -= len(await reader.read(PIECE_BYTES))
            await asyncio.sleep(0.02)
        writer.write(reply("200 OK"))

    server = await rogue(handle)
    started = time.monotonic()
    answer = await http_to(server.url, timeout=1).post("/image", block(4 * MIB))
    assert answer.status == 200
    assert time.monotonic() - started > 1.1, "the server was not slow enough to show anything"


async def test_an_answer_that_drips_is_not_waited_for(http_to, rogue):
    """Each byte would buy it a time-out more, and it may have a million of them."""

    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await asyncio.sleep(0.01)
            writer.write(b" ")
            await writer.drain()

    server = await rogue(handle)
    async with asyncio.timeout(5):
        with pytest.raises(Transient, match="no data was transferred"):
            await http_to(server.url, timeout=0.2).post("/image", block(10))


async def test_waiting_for_the_bandwidth_limit_is_no_stall(http_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(OK)

    async def wait() -> None:
        await asyncio.sleep(0.25)

    server = await rogue(handle)
    meter = Meter(wait=wait)
    assert (await http_to(server.url, timeout=0.2, throttle=meter).post("/image", block(2 * PIECE_BYTES))).status == 200
    assert meter.spent == [PIECE_BYTES, PIECE_BYTES]


async def test_a_file_that_fails_in_the_middle_ends_the_request(http_to, rogue):
    server = await rogue(forever)

    async def read() -> AsyncIterator[bytes]:
        yield b"x" * PIECE_BYTES
        raise FileChanged("it changed")

    upload = FormFile(field="file", filename="a", media_type="image/png", size=2 * PIECE_BYTES, read=read)
    with pytest.raises(FileChanged, match="it changed"):
        await http_to(server.url).post("/direct", MultipartForm(file=upload))


async def test_a_cancelled_request_lets_go_of_its_connection(http_to, rogue):
    closed = asyncio.Event()
    begun = asyncio.Event()

    async def handle(it, reader, writer):
        begun.set()
        await reader.read(-1)
        closed.set()

    server = await rogue(handle)
    request = asyncio.create_task(http_to(server.url).post("/image", block(10)))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.wait_for(closed.wait(), 5)


async def test_no_failure_shows_a_secret(http_to, rogue):
    async def handle(it, reader, writer):
        request = await read_request(reader)
        writer.write(reply("403 No", b'{"message": "you sent ' + request.partition(b"\r\n\r\n")[2] + b'"}'))

    server = await rogue(handle)
    http = http_to(server.url, token=TOKEN, headers={"X-Key": "key-secret"})
    answer = await http.post("/image", BytesBody(content_type="text/plain", data=f"{TOKEN} key-secret".encode()))
    assert str(http.failure(answer)).endswith("you sent *** ***")
    assert TOKEN not in repr(answer).replace(repr(answer.body), "")


def pointing(location: str, *, status: int = 302, seen: list[str] | None = None) -> web.Application:
    async def redirect(request: web.Request) -> web.Response:
        if seen is not None:
            seen.append(request.path)
        return web.Response(status=status, headers={"Location": location})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    return app


def noting(seen: list[web.BaseRequest]) -> web.Application:
    async def note(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(text="here")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    return app


async def test_a_redirect_takes_the_secrets_to_no_other_place(http_to):
    seen: list[web.BaseRequest] = []
    async with serving(noting(seen)) as other, serving(pointing(f"{other}/there?sig=1")) as first:
        http = http_to(first, token=TOKEN, headers={"X-Key": "key-secret"})
        await http.get("/image/1", writer=(writer := RecordingWriter(99)))
    assert writer.taken == len(b"here")
    assert seen[0].path_qs == "/there?sig=1"
    assert not {"Authorization", "X-Key"} & set(seen[0].headers)
    assert TOKEN not in str(seen[0].headers)


async def test_a_redirect_within_the_server_takes_them_along(http_to):
    seen: list[web.BaseRequest] = []
    app = noting(seen)

    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "../new/1"})

    inner = web.Application()
    inner.router.add_get("/image/1", redirect)
    inner.router.add_get("/new/1", next(iter(app.router.routes())).handler)
    async with serving(inner) as url:
        await http_to(url, token=TOKEN).get("/image/1", writer=(writer := RecordingWriter(99)))
    assert writer.taken == len(b"here")
    assert seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


async def test_redirects_come_to_an_end(http_to):
    seen: list[str] = []
    async with serving(pointing("/round", seen=seen)) as url:
        with pytest.raises(Permanent, match="more than 5 redirects"):
            await http_to(url).get("/image/1", writer=RecordingWriter(99))
    assert seen == ["/image/1", *["/round"] * 5]


@pytest.mark.parametrize("call", ["post", "get"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_call_is_not_redirected(http_to, status, call):
    """An API that is elsewhere has moved for all files, and the token goes to no other place by itself."""
    seen: list[web.BaseRequest] = []
    async with serving(noting(seen)) as other, serving(pointing(f"{other}/x?key=1", status=status)) as first:
        http = http_to(first, token=TOKEN)
        answer = await (http.get("/image/1") if call == "get" else http.post("/image", block(10)))
        failure = http.failure(answer)
    assert seen == []
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.REMOTE
    assert str(failure).endswith(f"redirects to {other}; set url to that")


class RecordingWriter:
    """A writer that takes so many bytes."""

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


async def test_a_download_goes_to_the_sink_until_it_has_enough(http_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"y" * PIECE_BYTES)
            await writer.drain()

    server, writer = await rogue(handle), RecordingWriter(3 * MIB)
    answer = await http_to(server.url).get("/image/1", accept="text/plain", writer=writer)
    assert (answer.status, answer.body, writer.length) == (200, b"", None)
    assert 3 * MIB <= writer.taken < 4 * MIB


async def test_a_download_of_the_wrong_length_is_not_read(http_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(reply("200 OK", b"12345"))
        await writer.drain()

    server, writer = await rogue(handle), RecordingWriter(99, length_wanted=False)
    await http_to(server.url).get("/image/1", writer=writer)
    assert (writer.length, writer.taken) == (5, 0)


async def test_an_error_does_not_go_to_the_sink(http_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(reply("404 No", b"gone"))

    server, writer = await rogue(handle), RecordingWriter(99)
    answer = await http_to(server.url).get("/image/1", writer=writer)
    assert (answer.body, writer.taken) == (b"gone", 0)
