"""For any server response, a remote returns a storable result or raises a `Failure`.

The remotes are real and use real sockets; the responses are generated, from the status line to the JSON fields.
"""

import asyncio
import gzip
import json
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncd.core import chunks
from syncd.core.errors import Failure, Permanent, SessionLost
from syncd.core.model import Pending, Session, Stored
from syncd.remotes.factory import make_remote
from syncd.remotes.multipart import schema
from syncd.remotes.response_failures import failure, retry_after
from syncd.remotes.responses import Response
from tests.remotes.helpers import NOW, CountingThrottle, MemorySource, content_of, image_settings, multipart_settings

MIB = 1024 * 1024
TIMEOUT = 20.0
"""Seconds without progress after which a remote gives up: longer than a busy machine takes for any response here."""
SILENCE_TIMEOUT = 0.25
"""The same where the server falls silent or never ends its response, so that each upload waits for it."""
UPLOAD_TIMEOUT = 60.0
"""Seconds within which each upload must end."""
DATA = bytes(range(256)) * 40

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class ScriptedServer:
    """A server that answers each request with the bytes that ``script`` returns for it.

    Then it closes the connection or, with ``hang``, keeps it open.
    """

    def __init__(self):
        self.script = lambda call: b""
        self.hang = False
        self.calls = []
        self.received = 0
        self._tasks = set()

    async def start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=4 * MIB)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def posted(self):
        return sum(call.startswith("POST") for call in self.calls)

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0]) if lengths else 0
        self.received += length
        while length:
            length -= len(await reader.read(min(length, MIB)))
        call = head.split(b" HTTP/1.1")[0].decode()
        self.calls.append(call)
        response = self.script(call)
        for piece in [response] if isinstance(response, bytes) else response:
            writer.write(piece)
            await writer.drain()
        if self.hang:
            await asyncio.sleep(3600)


class ClientHarness:
    """A scripted server and its clients, with synchronous methods, as Hypothesis needs."""

    def __init__(self, runner):
        self.runner = runner
        self.server = runner.run(ScriptedServer().start())

    def close(self):
        self.runner.run(self.server.stop())

    def upload(self, kind, script, *, timeout=TIMEOUT, hang=False, session=None, data=DATA):
        """Upload ``data`` as the scheduler does; return the result or the raised `Failure`."""
        outcome = self.runner.run(self._upload(kind, script, timeout, hang, session, data))
        assert isinstance(outcome, Failure | Stored | Pending)
        message = str(outcome)
        message.encode()
        assert "\n" not in message
        assert len(message) < 2500
        return outcome

    async def _upload(self, kind, script, timeout, hang, session, data):
        self.server.script, self.server.hang, self.server.calls, self.server.received = script, hang, [], 0
        make = image_settings if kind == "image" else multipart_settings
        options = {} if kind == "image" else {"direct": "auto" if kind == "direct" else "never"}
        remote = make_remote(
            kind,
            make(self.server.url, timeout=timeout, chunk_size=4096, **options),
            throttle=CountingThrottle(),
            clock=lambda: NOW,
            user_agent="syncd/test",
        )
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT):
                return await steps(remote, data if isinstance(data, MemorySource) else MemorySource(data), session)
        except Failure as stopped:
            return stopped
        finally:
            await remote.close()


async def steps(remote, source, session):
    """Run one upload; check that all results can be stored."""
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, session, failures=0)
    if isinstance(begun, Stored):
        return kept(begun)
    checked(begun, content)
    for index in list(begun.received.missing(begun.count))[:3]:
        receipt = await remote.send(begun, index, content, source)
        if receipt.stored:
            return kept(receipt.stored)
    result = await remote.finish(begun, content, source)
    for _ in range(3):
        if isinstance(result, Stored):
            return kept(result)
        assert isinstance(result, Pending)
        result.token.encode()
        result = await remote.poll(result, content)
    return result


def kept(stored):
    stored.ref.encode()
    assert len(stored.ref) < 2000
    return stored


def checked(session: Session, content):
    session.token.encode()
    assert len(session.token) < 2000
    assert 0 < session.chunk_size < 2**63
    assert session.count == chunks.count(content.size, session.chunk_size) <= 1_000_000
    assert all(0 <= index < session.count for index in session.received)


@pytest.fixture(scope="module")
def harness():
    with asyncio.Runner() as runner:
        made = ClientHarness(runner)
        yield made
        made.close()


# Bytes.


def response(body=b"{}", *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 201",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 103 Early Hints",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 307 Elsewhere",
        b"HTTP/1.1 407 Proxy",
        b"HTTP/1.1 999 ?",
        b"HTTP/1.1 000 ?",
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/9.9 200 OK",
        b"HTTP/2 200",
        b"ICY 200 OK",
        b"SSH-2.0-OpenSSH_9.9",
        b"HTTP/1.1 200 \xff\xfe\x00",
        b"HTTP/1.1 " + "٢٠٠".encode(),
    ]
)
headers = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 2",
            b"Content-Length: 0",
            b"Content-Length: 99999999999999999999999999",
            b"Content-Length: -1",
            b"Content-Length: 2, 2",
            b"Content-Length: +2",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: identity",
            b"Content-Encoding: gzip",
            b"Content-Encoding: br",
            b"Content-Encoding: zstd",
            b"Content-Encoding: deflate",
            b"Content-Encoding: no-such",
            b"Content-Type: application/json",
            b"Content-Type: text/html; charset=no-such",
            b"Content-Type: ;;;",
            b"Connection: close",
            b"Connection: upgrade",
            b"Upgrade: websocket",
            b"Retry-After: 99999999999999999999",
            b"Retry-After: Thu, 99 Foo 99999 99:99:99 +9999",
            b"Retry-After: -5",
            b"Location: http://[::1",
            b"Location: http://u:p@127.0.0.1:99999/",
            b"Location: //",
            b"Location: \xff\xfe",
            b"Location: javascript:alert(1)",
            b"Set-Cookie: \x00=;;;;=",
            b"Set-Cookie: a=b; expires=Thu, 99 Foo",
            b"X: " + b"y" * 9000,
            b"X" * 9000 + b": y",
            b" folded: yes",
            b"no colon",
            b": no name",
            b"\x00: nul",
        ]
    )
    | st.binary(max_size=30),
    max_size=5,
)
bodies = st.one_of(
    st.sampled_from(
        [
            b"{}",
            b"",
            b"2\r\n{}\r\n0\r\n\r\n",
            b"2;x=\xff\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
            b"ffffffffffffffffffff\r\n{}",
            b"-1\r\n{}\r\n",
            b"2\r\n{}",
            b"zz\r\n{}\r\n0\r\n\r\n",
            b"0" * 100_000 + b"2\r\n{}\r\n0\r\n\r\n",
            gzip.compress(b"{}"),
            gzip.compress(b"{}")[:-4],
            zlib.compress(b"{}"),
        ]
    ),
    st.binary(max_size=200),
)
responses = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda line, rest, body: b"\r\n".join([line, *rest]) + b"\r\n\r\n" + body, lines, headers, bodies),
    st.builds(
        lambda line, rest, body, at: (b"\r\n".join([line, *rest]) + b"\r\n\r\n" + body)[:at],
        lines,
        headers,
        bodies,
        st.integers(0, 120),
    ),
)


@settings(quick, max_examples=300)
@given(kind=st.sampled_from(["image", "multipart", "direct"]), raw=responses)
def test_client_any_bytes_are_handled(harness, kind, raw):
    harness.upload(kind, lambda _: raw)


@settings(quick, max_examples=20)
@given(kind=st.sampled_from(["image", "multipart", "direct"]), raw=responses)
def test_client_any_bytes_then_silence_is_handled(harness, kind, raw):
    harness.upload(kind, lambda _: raw, hang=True, timeout=SILENCE_TIMEOUT)  # TimeoutError after UPLOAD_TIMEOUT


# Endless and huge answers.


def endless(head, piece):
    def script(_):
        yield head
        while True:
            yield piece

    return script


def bomb(zeros=400 * MIB):
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join([*(packer.compress(bytes(MIB)) for _ in range(zeros // MIB)), packer.flush()])
    return response(packed, "Content-Encoding: gzip")


HUGE = {
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "endless header": endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
    "endless status line": endless(b"HTTP/1.1 200 ", b"y" * 65536),
    "endless 1xx": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "endless hints": endless(b"", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 1000),
    "endless body": endless(b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 65536),
    "endless chunks": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (b"20\r\n" + b"[" * 32 + b"\r\n") * 1000
    ),
    "endless chunk extension": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=", b"y" * 65536),
    "endless trailers": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X: y\r\n" * 1000
    ),
    "endless error": endless(b"HTTP/1.1 500 No\r\n\r\n", b"<" * 65536),
    "a gigabyte announced": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{}",
}


@pytest.mark.parametrize("kind", ["image", "multipart"])
@pytest.mark.parametrize("what", [*HUGE, "gzip bomb"])
def test_client_endless_response_is_cut(harness, kind, what):
    packed = bomb() if what == "gzip bomb" else b""
    script = HUGE.get(what) or (lambda _: packed)
    tracemalloc.start()
    try:
        outcome = harness.upload(kind, script, timeout=SILENCE_TIMEOUT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, Failure | Stored)  # TimeoutError after UPLOAD_TIMEOUT
    assert peak < 16 * MIB


# JSON.

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12_000),
    st.sampled_from([2**31, 2**63 - 1, 2**63, 10**400, -(10**30)]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["\ud800", "\0", "a/../b", "é" * 300, "x" * 100_000, "4096", "٣", "1e3", "Completed", "failed", "processing"]
    ),
)
values = st.recursive(
    odd,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=3), below, max_size=4),
    max_leaves=6,
)
good_file = {"id": "f-1", "name": "a.jpg", "mime_type": "image/jpeg", "hash": "?", "size": len(DATA)}


def mutated(good):
    """Generate JSON: ``good`` with fields replaced, removed or added, or any other value."""
    changed = st.fixed_dictionaries({}, optional=dict.fromkeys(good, values))
    missing = st.lists(st.sampled_from(sorted(good)), max_size=2) if good else st.just([])
    return st.one_of(
        st.builds(
            lambda replaced, gone: {k: v for k, v in (good | replaced).items() if k not in gone}, changed, missing
        ),
        values,
    ).map(json.dumps)


statuses = st.sampled_from(
    ["200 OK"] * 6 + ["201 Created", "202 Accepted", "400 Bad", "404 No", "409 Exists", "500 No"]
)
calls = st.fixed_dictionaries(
    {
        "create": st.tuples(
            statuses,
            mutated({"file_exists": False, "task_id": "t-1", "chunk_size": 4096, "chunks_count": 3, "file": good_file}),
        ),
        "resume": st.tuples(statuses, mutated({"chunks_count": 3, "chunks_uploaded": 1, "uploaded_chunks": [0]})),
        "chunk": st.tuples(statuses, mutated({})),
        "complete": st.tuples(statuses, mutated({**good_file, "taskId": "t-1", "task_id": 7, "status": "processing"})),
        "progress": st.tuples(statuses, mutated({"status": "Completed", "file": good_file, "file_id": "f-2"})),
        "direct": st.tuples(statuses, mutated(good_file)),
        "image": st.tuples(statuses, mutated({"code": "400", "message": "no", "error": {"message": "no"}})),
    }
)


def by_call(replies):
    def script(call):
        name = next((name for name in replies if f"/upload/{name}" in call), "image")
        status, body = replies[name]
        return response(body.encode(), "Content-Type: application/json", status=status)

    return script


@settings(quick, max_examples=300)
@given(kind=st.sampled_from(["image", "multipart", "direct"]), replies=calls, resumed=st.booleans())
def test_client_any_json_is_handled(harness, kind, replies, resumed):
    session = Session(token="t-0", chunk_size=4096, count=3) if resumed and kind == "multipart" else None
    harness.upload(kind, by_call(replies), session=session)


@settings(quick, max_examples=150)
@given(
    kind=st.sampled_from(["image", "multipart", "direct"]),
    body=values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.just(b"\xef\xbb\xbf<html>"),
    media_type=st.sampled_from([b"text/plain", b"application/json", b"text/html", b"application/javascript"]),
)
@example(kind="image", body=b"", media_type=b"text/plain")
@example(kind="image", body=b"OK", media_type=b"text/plain")
@example(kind="image", body=b'{"status":"ok"}', media_type=b"application/json")
def test_client_constant_response_proves_nothing(harness, kind, body, media_type):
    """The same response to every request, as from a captive portal or a default page."""
    outcome = harness.upload(kind, lambda _: response(body, "Content-Type: " + media_type.decode()))
    assert isinstance(outcome, Failure)
    if kind == "image":
        assert "is not an image API" in str(outcome) or "not understood" in str(outcome)


def agreed(**changes):
    body = json.dumps({"task_id": "t-1", "chunk_size": 4096, "chunks_count": 3, **changes})
    fine = response(json.dumps(good_file | {"hash": None, "size": None}).encode())
    return lambda call: response(body.encode()) if call.endswith("create") else fine


def test_client_keeps_agreed_chunk_size(harness):
    """A valid agreement leads to an upload; the tests below change single fields."""
    assert harness.upload("multipart", agreed()) == Stored(ref="f-1")


@pytest.mark.parametrize("size", [2**63, 10**30])
def test_client_huge_chunk_size_is_one_chunk(harness, size):
    assert harness.upload("multipart", agreed(chunk_size=size, chunks_count=1)) == Stored(ref="f-1")


class LargestReadSource(MemorySource):
    """A file that records the length of the longest read."""

    longest = 0

    async def read(self, offset, length):
        self.longest = max(self.longest, length)
        return await super().read(offset, length)


def test_client_large_chunk_is_read_in_pieces(harness):
    """A server that requests one very large chunk must not fill the memory."""
    source = LargestReadSource(bytes(3 * MIB + 5))
    assert harness.upload("multipart", agreed(chunk_size=2**40, chunks_count=1), data=source) == Stored(ref="f-1")
    assert source.longest <= 4096
    assert harness.server.received > source.size


def test_client_millions_of_chunks_are_refused(harness):
    outcome = harness.upload("multipart", agreed(chunk_size=1, chunks_count=1_200_000), data=bytes(1_200_000))
    assert isinstance(outcome, Permanent)
    assert "1200000 chunks" in str(outcome)
    assert len(harness.server.calls) == 1


@pytest.mark.parametrize("task", ["\ud800", "x" * 5000, "", None, [], {}, True])
def test_client_invalid_task_id_is_refused(harness, task):
    outcome = harness.upload("multipart", agreed(task_id=task))
    assert isinstance(outcome, Failure)
    assert harness.server.posted() == 1


@pytest.mark.parametrize("ref", ["\ud800", "x" * 5000])
def test_client_invalid_file_id_is_refused(harness, ref):
    confirm = json.dumps(good_file | {"id": ref, "hash": None}).encode()
    outcome = harness.upload("multipart", lambda call: agreed()(call) if call.endswith("create") else response(confirm))
    assert isinstance(outcome, Failure)


NESTED = ['{{"errors": {}}}', '{{"errors": {{"a": {}}}}}', '{{"code": {}}}', '{{"status": {}}}', "{}"]


@pytest.mark.parametrize("form", NESTED)
def test_client_deeply_nested_json_is_handled(form):
    """At some depths, JSON can be parsed but not serialized."""
    for depth in range(sys.getrecursionlimit() - 120, sys.getrecursionlimit()):
        body = form.format("[" * depth + "]" * depth).encode()
        answer = Response(host="h", request_line="POST /x", status=400, body=body)
        assert isinstance(failure(answer, now=NOW), Permanent)
        assert schema.assembly_state(answer.json() or {}) == "running"


DUPLICATES = [
    b'{"task_id": "t-1", "task_id": null, "chunk_size": 4096}',
    b'{"task_id": "t-1", "chunk_size": 4096, "chunk_size": -1}',
    b'{"task_id": "t-1", "chunk_size": NaN}',
    b'{"task_id": "t-1", "chunk_size": Infinity}',
    b'{"task_id": "t-1", "chunk_size": 4096.0}',
    b'{"task_id": "t-1", "chunk_size": 1e400}',
    b'{"task_id": "t-1", "chunk_size": ' + b"9" * 10_000 + b"}",
    b'{"task_id": "t-1", "chunk_size": 4096, "chunks_count": 4}',
    b'\xef\xbb\xbf{"task_id": "t-1"}',
    '{"task_id": "t-1"}'.encode("utf-16"),
    b'{"file_exists": "true", "file": {"id": "f-1"}}',
    b'{"file_exists": 1, "file": {"id": "f-1"}}',
]


@pytest.mark.parametrize("body", DUPLICATES)
def test_client_json_without_agreement_is_refused(harness, body):
    outcome = harness.upload("multipart", lambda _: response(body))
    assert isinstance(outcome, Failure)
    assert harness.server.posted() == 1


@pytest.mark.parametrize(
    "listed", [[0, 1, 2], [0, 1, 2, 3, 10**30, -1, "1", None, [], 1.0, True], "012", {"0": 1}, 10**9]
)
def test_client_invalid_chunk_list_is_refused(harness, listed):
    """The response to *complete* decides, even if the list of chunks is invalid."""
    resumed = json.dumps({"uploaded_chunks": listed, "chunks_uploaded": listed}).encode()
    missing = response(b'{"code": "CHUNK_MISSING"}', status="400 Bad Request")
    session = Session(token="t-0", chunk_size=4096, count=3)
    outcome = harness.upload(
        "multipart",
        lambda call: response(resumed) if "resume" in call else missing if "complete" in call else response(),
        session=session,
    )
    assert isinstance(outcome, SessionLost)


@settings(quick, max_examples=100)
@given(
    value=st.text(max_size=60)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} [A-Z][a-z]{2} -?[0-9]{1,6} [0-9:]{1,9} ?[+-]?[0-9]{0,6}")
)
@example(value="Sun, 06 Nov 1994 08:49:37 GMT")
@example(value="1" * 5000)
def test_client_any_retry_after_is_bounded(value):
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < float("inf")
