"""Malformed HTTP requests get an error response and change nothing.

They are sent to the receiver and to the daemon's control API.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import subprocess
import sys

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from yarl import URL

from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024
TOKEN = "the-right-token"
SHA = "a" * 64
TASK = "b" * 32

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


async def say(url, raw, *, patience=10.0):
    """Send raw bytes; return the first bytes of the response.

    Returns ``b""`` if the server just closes the connection; fails if neither happens within ``patience`` seconds.
    """
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(raw)
            async with asyncio.timeout(patience):
                return await reader.read(MIB)
        return b""
    finally:
        writer.transport.abort()


async def say_all(url, raws):
    return await asyncio.gather(*(say(url, raw) for raw in raws))


def status_of(answer):
    """Return the status of the final response, after interim ones such as 100 Continue."""
    while answer.startswith(b"HTTP/1.1 1"):
        answer = answer.partition(b"\r\n\r\n")[2]
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


@contextlib.asynccontextmanager
async def receiver_at(folder, **changes):
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            Settings(
                **{"folder": str(folder), "fsync": False, "keep_alive": 0.1, "idle_timeout": 0.2, "linger": 0.1}
                | changes
            ),
            host="127.0.0.1",
            port=0,
            ready=lambda address: url.set_result(URL(address)),
            stop=stop,
        )
    )
    try:
        yield await url
    finally:
        stop.set()
        await task


methods = st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"CONNECT", b"TRACE", b"get"])
paths = st.sampled_from(
    [
        *(b"/image", b"/image/" + SHA.encode(), b"/image/%b/chunks" % SHA.encode(), b"/v1/receiver", b"/", b"*", b"//"),
        *(b"/api/files/upload/" + call for call in (b"create", b"direct", b"chunk/%b/0" % TASK.encode())),
        *(b"/api/files/upload/%b/%b" % (call, TASK.encode()) for call in (b"complete", b"resume", b"progress")),
        *(
            b"/api/files/" + SHA.encode(),
            b"http://elsewhere.test/image",
            b"/image/%00",
            b"/image/..%2f..%2fetc%2fpasswd",
        ),
        *(
            b"/../../etc/passwd",
            b"/api/files/../../../etc/passwd",
            b"/image/\xff",
            b"/" + b"x" * 9000,
            b"/?" + b"&" * 2000,
        ),
    ]
) | st.binary(max_size=30).map(lambda raw: b"/" + raw)
heads = st.lists(
    st.sampled_from(
        [
            *(b"Host: localhost", b"Host: localhost", b"Host: elsewhere.test", b"Host:", b"Host: [::1", b"Host: \xff"),
            *(b"Origin: http://localhost", b"Origin: null", b"Origin: \xff", b"Sec-Fetch-Site: cross-site"),
            *(b"Connection: close", b"Expect: 100-continue", b"Upgrade: h2c"),
            *(
                b"Content-Length: 0",
                b"Content-Length: 5",
                b"Content-Length: -1",
                b"Content-Length: 99999999999999999999",
            ),
            *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip"),
            *(b"Content-Type: application/json", b"Content-Type: multipart/form-data", b"Content-Type: \xff/\xfe"),
            *(
                b"Content-Type: multipart/form-data; boundary=b",
                b"Content-Type: multipart/form-data; boundary=" + b"b" * 80,
            ),
            *(b"Range: bytes=0-", b"Range: bytes=-1,5-", b"If-None-Match: *", b"If-Modified-Since: never"),
            *(b"Cookie: \x01=;;", b"X: " + b"y" * 9000, b" folded", b"no colon", b": none", b"X\x00: y"),
            *(
                b"Authorization: Bearer",
                b"Authorization: Bearer \xff\xfe",
                b"Authorization: bearer  wrong",
                b"Authorization:",
            ),
        ]
    ),
    max_size=6,
)
contents = st.sampled_from(
    [
        *(
            b"",
            b"{}",
            b"null",
            b"[" * 100_000,
            b'{"sha256": NaN}',
            b'{"a": 1e999}',
            b"5\r\n{}   \r\n0\r\n\r\n",
            b"zz\r\n",
        ),
        b'--b\r\nContent-Disposition: form-data; name="chunk"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="chunk"\r\nContent-Encoding: gzip\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="../x"\r\nContent-Length: -5\r\n\r\nx\r\n--b--',
        *(b"--b\r\n" * 500, b"--b\r\n\r\n\r\n--b--", b"--b\r\nX: " + b"y" * 70_000),
    ]
) | st.binary(max_size=100)
requests = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda method, path, head, body: b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), *head]) + b"\r\n\r\n" + body,
        methods,
        paths,
        heads,
        contents,
    ),
)


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def with_token(runner, tmp_path):
    stack = contextlib.AsyncExitStack()
    yield runner.run(stack.enter_async_context(receiver_at(tmp_path / "with_token", token=TOKEN)))
    runner.run(stack.aclose())


@pytest.fixture
def without_token(runner, tmp_path):
    stack = contextlib.AsyncExitStack()
    yield runner.run(stack.enter_async_context(receiver_at(tmp_path / "open")))
    runner.run(stack.aclose())


@settings(quick, max_examples=20)
@given(raws=st.lists(requests, min_size=8, max_size=16))
@example(raws=[b"GET /v1/receiver HTTP/1.1\r\nHost: localhost\r\nExpect: 1\r\n\r\n"])
@example(raws=[b"GET /v1/receiver HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n"])
def test_servers_without_token_reject_every_request(runner, with_token, tmp_path, raws):
    """Each response is 401, 400 or 417, and nothing is stored.

    400: the bytes are not a valid HTTP request. 417: aiohttp rejects the ``Expect`` header.
    """
    before = sorted((tmp_path / "with_token").rglob("*"))
    for answer in runner.run(say_all(with_token, raws)):
        assert status_of(answer) in {401, 400, 417, None}, answer
        assert b"200 OK" not in answer
        assert TOKEN.encode() not in answer
    assert sorted((tmp_path / "with_token").rglob("*")) == before


@settings(quick, max_examples=20)
@given(raws=st.lists(requests, min_size=8, max_size=16))
def test_servers_any_bytes_get_documented_response(runner, without_token, caplog, raws):
    with capture_logs() as events:
        answers = runner.run(say_all(without_token, raws))
        alive = runner.run(say(without_token, b"GET /v1/receiver HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    for raw, answer in zip(raws, answers, strict=True):
        status = status_of(answer)
        assert status is None or status < 500, (raw, answer)
        assert b"Traceback" not in answer
    assert status_of(alive) == 200
    assert not [event for event in events if event["event"] == "receiver.failed"]
    assert caplog.records == []  # a client must not be able to fill the log


HUGE = {
    "one header": b"GET /image HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20 * MIB,
    "many headers": b"GET /image HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500_000,
    "the address": b"GET /" + b"y" * 20 * MIB,
    "the method": b"G" * 20 * MIB,
    "a chunk's extension": b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2;" + b"y" * 20 * MIB,
    "trailers": b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 500_000,
}


@pytest.mark.parametrize("what", HUGE)
def test_servers_huge_request_is_rejected_unread(runner, with_token, what):
    answer = runner.run(say(with_token, HUGE[what]))
    assert status_of(answer) in {400, 401, 431, None}


async def send_slowly(url, head, piece):
    """Send a request in small pieces until the response; return it."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(head)
        answer = asyncio.create_task(reader.read(1000))
        while not answer.done():
            with contextlib.suppress(ConnectionError):
                writer.write(piece)
                await writer.drain()
            await asyncio.wait([answer], timeout=0.02)
        return answer.result() if not answer.exception() else b""
    finally:
        writer.transport.abort()


SLOW_REQUESTS = {
    "a head": (b"GET /image HTTP/1.1\r\n", b"X: y\r\n", None),
    "JSON": (
        b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n",
        b" ",
        408,
    ),
    "a form": (
        (
            b"POST /api/files/upload/direct HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b'Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        ),
        b"x" * 20,
        408,
    ),
}


@pytest.mark.parametrize("what", SLOW_REQUESTS)
async def test_servers_slow_request_is_closed(tmp_path, what):
    """Each piece arrives in time, but the request never ends."""
    head, piece, status = SLOW_REQUESTS[what]
    async with receiver_at(tmp_path / "r", min_bytes_per_second=100_000) as url, asyncio.timeout(5):
        assert status_of(await send_slowly(url, head, piece)) == status


async def test_servers_slow_steady_body_is_accepted(tmp_path):
    body = b'{"sha256": "' + SHA.encode() + b'", "size": 4, "chunk_size": 4' + b" " * 400 + b"}"
    head = (
        b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    async with receiver_at(tmp_path / "r", min_bytes_per_second=10, idle_timeout=5) as url, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head)
        for start in range(0, len(body), 10):
            writer.write(body[start : start + 10])
            await asyncio.sleep(0.005)
        assert status_of(await reader.read(1000)) == 201
        writer.close()


async def test_servers_stalled_reader_is_closed(tmp_path):
    """A client that does not read its download must not occupy a connection forever."""
    data = random_bytes(19 * MIB)
    async with receiver_at(tmp_path / "r", idle_timeout=1, max_connections=2) as url:
        async with aiohttp.ClientSession() as session:
            form = aiohttp.FormData({"file": io.BytesIO(data)})
            async with session.post(url / "api/files/upload/direct", data=form) as stored:
                assert stored.status == 200
        _, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
        digest = hashlib.sha256(data).hexdigest()
        writer.write(b"GET /api/files/%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % digest.encode())
        writer.transport.pause_reading()

        async def accepts_again():
            try:
                first, second = [await asyncio.open_connection(url.host, url.port) for _ in range(2)]
                second[1].write(b"GET /v1/receiver HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return status_of(await second[0].read()) == 200
            finally:
                first[1].close()
                second[1].close()

        await wait_until(accepts_again)
        writer.transport.abort()


async def test_receiver_unfinished_uploads_are_bounded(tmp_path):
    async with receiver_at(tmp_path / "r", max_unfinished=3) as url:
        statuses = []
        for number in range(5):
            body = b'{"sha256": "%064x", "size": 4, "chunk_size": 2}' % number
            raw = b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            raw += b"Content-Length: %d\r\n\r\n%b"
            statuses.append(status_of(await say(url, raw % (len(body), body))))
        assert statuses == [201, 201, 201, 503, 503]


# The daemon's control socket.

OTHER_USER_SCRIPT = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
path = sys.argv[1]
for what, name in ((os.listdir, ""), (os.stat, "syncd.db"), (open, "syncd.db"), (open, "lock")):
    try:
        what(os.path.join(path, name))
    except OSError:
        pass
    else:
        print("could", what.__name__, path)
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(os.path.join(path, "control.sock"))
    connection.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    print(connection.recv(1000))
except OSError:
    pass
"""


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
async def test_other_user_cannot_reach_daemon(harness):
    """Another user has no access, even if the parent folders are open to everybody."""
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await harness.wait_for_counts(done=1)
    for folder in (harness.folder, harness.folder.parent, harness.folder.parent.parent):  # pytest's folders
        folder.chmod(0o755)
    state = harness.folder / "state"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (state, *state.iterdir())}
    assert modes.pop("state") == 0o700
    assert set(modes.values()) == {0o600}
    assert "control.sock" in modes
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", OTHER_USER_SCRIPT, state], capture_output=True, text=True, check=True
    )
    assert ended.stdout == ""
