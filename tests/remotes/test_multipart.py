"""Test how the client of the multipart API interprets responses."""

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import CutOff, Failure, Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import ChunkResult, Pending, Proof, Session, Stored
from tests.remotes.helpers import MemorySource, content_of, read_request, reply
from tests.support.data import POOL

URL = "http://host.test:4444"
UP = f"{URL}/api/files/upload"
MIB = 1024 * 1024
DATA = b"\xff\xd8" * 150_000
HASH = hashlib.sha256(DATA).hexdigest()
PROBE = f"{UP}/resume/{'0' * 32}"
FILE = {"id": "f-1", "name": "a.jpg", "mime_type": "image/jpeg", "hash": HASH.upper(), "size": len(DATA)}


@pytest.fixture
def make(make_client: Any) -> Any:
    return lambda **values: make_client("multipart", URL, **{"chunk_size": 100_000, "direct": "never", **values})


@pytest.fixture
def reliable_server(mock_response: Any) -> None:
    """A server that answers 404 for an unknown task and an unknown file."""
    nowhere = f"{URL}/api/files/{'0' * 32}"
    for url in (f"{UP}/tasks", PROBE, nowhere, f"{nowhere}?original=true"):
        mock_response("GET", url, status=404, repeat=True)


def session(received: Any = (), **values: Any) -> Session:
    return Session(**{"token": "t-1", "chunk_size": 100_000, "count": 3, "received": ChunkSet(received), **values})


def agreed(**values: Any) -> dict[str, Any]:
    return {"file_exists": False, "task_id": "t-1", "chunk_size": 100_000, "chunks_count": 3, **values}


async def begin(remote: Any, earlier: Session | None = None, *, name: str = "a.jpg", failures: int = 0) -> Any:
    return await remote.begin(content_of(remote, DATA), MemorySource(DATA, name=name), earlier, failures=failures)


async def send(remote: Any, used: Session | None = None, index: int = 0) -> ChunkResult:
    return await remote.send(used or session(), index, content_of(remote, DATA), MemorySource(DATA))


async def finish(remote: Any) -> Any:
    return await remote.finish(session(), content_of(remote, DATA), MemorySource(DATA))


@pytest.mark.parametrize(
    ("payload", "begun"),
    [
        (agreed(), session()),
        ({key: value for key, value in agreed().items() if key != "file_exists"}, session()),
        (agreed(chunk_size=150_000, chunks_count=2), session(chunk_size=150_000, count=2)),
        (agreed(task_id=77, chunk_size="100000", chunks_count="3"), session(token="77")),
        ({"file_exists": True, "file": FILE}, Stored(ref="f-1", already=True, proof=Proof.HASH)),
        ({"file_exists": True}, Stored(ref="", already=True)),
    ],
)
async def test_begin_create_response(make, mock_response, payload, begun):
    mock_response("POST", f"{UP}/create", payload=payload)
    assert await begin(make()) == begun


@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        ({"payload": agreed(chunks_count=4)}, Permanent, "do not add up"),
        ({"payload": agreed(chunk_size=0)}, Permanent, "do not add up"),
        ({"payload": {"file_exists": True, "file": {**FILE, "size": 5}}}, Permanent, "5 bytes instead of 300000"),
        ({"payload": {"file_exists": True, "file": {**FILE, "hash": "0" * 64}}}, Permanent, "another hash"),
        ({"payload": {"file_exists": False}}, Transient, "not understood"),
        ({"payload": {"file_exists": 1, "file": FILE}}, Transient, "not understood"),
        ({"body": "[]"}, Transient, "not understood"),
        ({"body": "<html><title>Log in</title>", "content_type": "text/html"}, Transient, "Log in"),
        ({"status": 400, "payload": {"title": "Bad", "errors": {"hash": ["is odd"]}}}, Permanent, "hash: is odd"),
        ({"status": 401}, Unauthorized, "401"),
        ({"status": 403, "payload": {"message": "quota exceeded"}}, Permanent, "quota exceeded"),
        ({"status": 503, "headers": {"Retry-After": "9"}}, Transient, "503"),
    ],
)
async def test_begin_failed_create_raises(make, mock_response, reliable_server, answer, failure, words):
    mock_response("POST", f"{UP}/create", **answer)
    with pytest.raises(failure, match=words):
        await begin(make())


async def test_begin_encrypted_file_is_not_compared(make, mock_response):
    mock_response("POST", f"{UP}/create", payload={"file_exists": True, "file": {**FILE, "size": 5}})
    assert await begin(make(encrypt_password="psst")) == Stored(ref="f-1", already=True)


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 1, "uploaded_chunks": [2]}}, [2]),
        ({"payload": {"chunks_count": 3, "uploaded_chunks": []}}, []),
        ({"payload": {"uploaded_chunks": [1, "2", 3, -1, None, True]}}, [1, 2]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 2}}, [0, 1]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 3}}, [0, 1]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 1}}, []),
        ({"payload": {}}, [0, 1]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 2, "uploaded_chunks": []}}, [0, 1]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 3, "uploaded_chunks": [2, 2, 2]}}, [0, 1]),
        ({"payload": {"chunks_count": 3, "chunks_uploaded": 1, "uploaded_chunks": []}}, []),
        ({"payload": {"chunks_uploaded": 2, "uploaded_ranges": [[0, 0], [2, 2]]}}, [0, 2]),
        ({"payload": {"uploaded_ranges": [["0", 2]]}}, [0, 1, 2]),
        ({"payload": {"uploaded_ranges": []}}, []),
        ({"payload": {"chunks_uploaded": 3, "uploaded_ranges": [[0, 0], [2, 2]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[0, 3]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[0, 4]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[2, 2], [0, 0]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[0, 2], [0, 2]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[2, 0]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[-1, 2]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [[2]]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": [2, None]}}, [0, 1]),
        ({"payload": {"uploaded_ranges": {"0": 2}}}, [0, 1]),
        ({"body": '{"chunks_count": 3, "uploaded_chunks": [0, 1, 2'}, [0, 1]),
        ({"body": "[2]"}, [0, 1]),
        ({"body": "OK"}, [0, 1]),
        ({"body": ""}, [0, 1]),
        ({"status": 204}, [0, 1]),
        ({"status": 404}, [0, 1]),
        ({"status": 405}, [0, 1]),
    ],
)
async def test_begin_resume_response_received_chunks(make, mock_response, answer, received):
    mock_response("GET", f"{UP}/resume/t-1", **answer)
    assert await begin(make(), session([0, 1])) == session(received)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"status": 401}, Unauthorized),
        ({"status": 503}, Transient),
        ({"body": "<html><title>Log in</title>", "content_type": "text/html"}, Transient),
        ({"payload": {"chunks_count": 9}}, SessionLost),
    ],
)
async def test_begin_failed_resume_raises(make, mock_response, answer, failure):
    mock_response("GET", f"{UP}/resume/t-1", **answer)
    with pytest.raises(failure):
        await begin(make(), session([0, 1]))


async def test_begin_session_of_other_size_creates_task(make, mock_response):
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(make(), session([0], count=9)) == session()


async def test_begin_quotes_task_id(make, mock_response):
    mock_response("GET", f"{UP}/resume/a%2Fb%3F", payload={"uploaded_chunks": [1]})
    assert await begin(make(), session(token="a/b?")) == session([1], token="a/b?")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"status": 404}, SessionLost),
        ({"status": 400, "payload": {"message": "index out of range"}}, Permanent),
        ({"status": 408}, CutOff),
        ({"status": 409, "body": "<html>", "content_type": "text/html"}, Permanent),
        ({"status": 401}, Unauthorized),
        ({"status": 500}, Transient),
        ({"body": "<html>", "content_type": "text/html"}, Transient),
    ],
)
async def test_send_rejected_chunk_raises(make, mock_response, answer, failure):
    mock_response("POST", f"{UP}/chunk/t-1/1", **answer)
    with pytest.raises(failure):
        await send(make(), index=1)


@pytest.mark.parametrize(
    "answer",
    [{}, {"payload": {"message": "chunk was there already"}}, {"payload": {"ok": True}}, {"status": 409}],
)
async def test_send_accepted_chunk_result(make, mock_response, answer):
    mock_response("POST", f"{UP}/chunk/t-1/1", **answer)
    assert await send(make(), index=1) == ChunkResult()


@pytest.mark.parametrize("answer", [{"status": 413}, {"status": 400, "payload": {"error": "chunk too large"}}])
async def test_send_too_large_chunk_halves_chunk_size(make, mock_response, answer):
    remote = make(chunk_size=200_000)
    large = session(chunk_size=200_000, count=2)
    mock_response("POST", f"{UP}/chunk/t-1/0", repeat=True, **answer)
    for _ in range(2):  # a second chunk of that size teaches nothing new
        with pytest.raises(SessionLost):
            await send(remote, large)
    assert remote.capabilities == {"refused": 200_000}
    assert remote.block_size == 100_000
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(remote) == session()


async def test_send_larger_rejected_chunk_keeps_limit(make, mock_response):
    remote = make()
    remote.restore_capabilities({"refused": 90_000})
    mock_response("POST", f"{UP}/chunk/t-1/0", status=413)
    with pytest.raises(SessionLost):
        await send(remote)
    assert remote.capabilities == {"refused": 90_000}


async def test_begin_required_chunk_size_was_rejected_raises(make, mock_response):
    remote = make()
    remote.restore_capabilities({"refused": 200_000})
    mock_response("POST", f"{UP}/create", payload=agreed(chunk_size=5 * MIB, chunks_count=1))
    with pytest.raises(Permanent, match="refused one of 200000"):
        await begin(remote)
    mock_response("POST", f"{UP}/create", payload=agreed(chunk_size=5 * MIB, chunks_count=1))
    assert isinstance(await begin(remote), Session)  # one rejection does not affect other files


async def test_begin_small_file_ignores_rejected_size(make, mock_response):
    remote = make()
    remote.restore_capabilities({"refused": 400_000})
    mock_response("POST", f"{UP}/create", payload=agreed(chunk_size=5 * MIB, chunks_count=1))
    assert await begin(remote) == session(chunk_size=len(DATA), count=1)


async def test_send_413_for_smallest_chunk_is_permanent(make, mock_response):
    remote = make()
    mock_response("POST", f"{UP}/chunk/t-1/4", status=413)
    with pytest.raises(Permanent):
        await send(remote, session(chunk_size=64 * 1024, count=5), index=4)
    assert remote.capabilities == {}


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ({"payload": FILE}, Stored(ref="f-1", proof=Proof.HASH)),
        ({"payload": {"id": 12}}, Stored(ref="12")),
        ({"payload": {"id": "x", "hash": "md5-of-another-length"}}, Stored(ref="x")),
        ({"status": 202, "payload": {"taskId": "t-9", "status": "processing"}}, Pending(token="t-9")),
        ({"status": 202}, Pending(token="t-1")),
        ({"payload": {**FILE, "size": 1}}, SessionLost),
        ({"payload": {**FILE, "hash": "0" * 64}}, SessionLost),
        ({"status": 400, "payload": {"code": "CHUNK_MISSING", "message": "chunks are missing"}}, SessionLost),
        ({"status": 400, "payload": {"error": "upload is incomplete"}}, SessionLost),
        ({"status": 404}, SessionLost),
        ({"status": 500}, SessionLost),
        ({"status": 502}, Transient),
        ({"status": 401}, Unauthorized),
        ({"status": 403, "payload": {"message": "type not allowed"}}, Permanent),
        ({"body": "<html><title>Log in</title>", "content_type": "text/html"}, Transient),
        ({"status": 202, "body": "<html>", "content_type": "text/html"}, Transient),
        ({"body": ""}, Transient),
    ],
)
async def test_finish_complete_response(make, mock_response, reliable_server, answer, end):
    mock_response("POST", f"{UP}/complete/t-1", **answer)
    if isinstance(end, type):
        with pytest.raises(end):
            await finish(make())
    else:
        assert await finish(make()) == end


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ({"payload": {"status": "Processing"}}, Pending(token="t-1")),
        ({"payload": {"status": 2}}, Pending(token="t-1")),
        ({"payload": {}}, Pending(token="t-1")),
        ({"payload": {"status": "COMPLETED", "file": FILE}}, Stored(ref="f-1", proof=Proof.HASH)),
        ({"payload": {"status": 3, "file_id": "f-2"}}, Stored(ref="f-2")),
        ({"payload": {"status": "3"}}, Stored(ref="")),
        ({"payload": {"status": "completed", "file": {**FILE, "size": 1}}}, SessionLost),
        ({"payload": {"status": "Failed", "message": "disk full"}}, SessionLost),
        *(({"payload": {"status": ended}}, SessionLost) for ended in (4, 5, "6", "Cancelled", "expired")),
        ({"status": 404}, SessionLost),
        ({"status": 500}, Transient),
        ({"body": "?"}, Transient),
    ],
)
async def test_poll_progress_response(make, mock_response, answer, end):
    remote = make()
    content = content_of(remote, DATA)
    mock_response("GET", f"{UP}/progress/t-1", **answer)
    if isinstance(end, type):
        with pytest.raises(end):
            await remote.poll(Pending(token="t-1"), content)
    else:
        assert await remote.poll(Pending(token="t-1"), content) == end


@pytest.mark.parametrize(
    ("created", "end"),
    [
        ({"file_exists": True, "file": FILE}, Stored(ref="f-1", proof=Proof.HASH)),
        (agreed(), Stored(ref="")),
    ],
)
async def test_finish_lost_response_asks_create_for_file(make, mock_response, created, end):
    """A server whose *progress* does not name the file knows it by its hash."""
    mock_response("POST", f"{UP}/complete/t-1", exception=TimeoutError())
    mock_response("GET", f"{UP}/progress/t-1", payload={"status": "3"})
    mock_response("POST", f"{UP}/create", payload=created)
    assert await finish(make()) == end


DIRECT = Session(token="", chunk_size=len(DATA), count=1, single_request=True)


async def test_send_small_file_in_single_request(make, mock_response):
    remote = make(direct="auto")
    assert await begin(remote) == DIRECT
    mock_response("POST", f"{UP}/direct", payload=FILE)
    assert await send(remote, DIRECT) == ChunkResult(stored=Stored(ref="f-1", proof=Proof.HASH))


@pytest.mark.parametrize(("size", "single"), [(20 * 1024**2, True), (20 * 1024**2 + 1, False)])
async def test_begin_up_to_20_mib_is_single_request(make, mock_response, size, single):
    remote = make(direct="auto")
    mock_response("POST", f"{UP}/create", payload=agreed(chunk_size=1024**2, chunks_count=21))
    content = replace(content_of(remote, DATA), size=size)
    begun = await remote.begin(content, MemorySource(DATA, name="a.jpg"), None, failures=0)
    assert begun.single_request is single


@pytest.mark.parametrize(
    ("answer", "failure", "capabilities"),
    [
        ({"status": 404}, SessionLost, {"direct_refused": 0}),
        ({"status": 405}, SessionLost, {"direct_refused": 0}),
        ({"status": 413}, SessionLost, {"direct_refused": len(DATA)}),
        ({"status": 403, "payload": {"message": "quota"}}, Permanent, {}),
        ({"status": 500}, Transient, {}),
        ({"payload": {**FILE, "size": 1}}, SessionLost, {}),
        ({"body": "?"}, Transient, {}),
    ],
)
async def test_send_failed_single_request_raises(make, mock_response, reliable_server, answer, failure, capabilities):
    remote = make(direct="auto")
    mock_response("POST", f"{UP}/direct", **answer)
    with pytest.raises(failure):
        await send(remote, DIRECT)
    assert remote.capabilities == capabilities
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(remote) == (session() if capabilities else DIRECT)


@pytest.mark.parametrize("values", [{"failures": 1}, {"name": 'a"b.jpg'}, {"name": "a\nb.jpg"}])
async def test_begin_after_failure_or_special_name_uses_chunks(make, mock_response, values):
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(make(direct="auto"), **values) == session()


@pytest.mark.parametrize("name", ["bundle_id", "encrypt_password", "expired_at"])
async def test_begin_with_storage_options_uses_chunks(make, mock_response, name):
    """Servers respect these options only in *create*."""
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(make(direct="auto", **{name: REMOTE_OPTIONS[name]})) == session()


async def test_begin_above_slow_limit_uses_chunks(make, mock_response):
    remote = make(direct="auto")
    remote.restore_capabilities({"slow": len(DATA)})
    assert await begin(remote) == DIRECT
    remote.restore_capabilities({"slow": len(DATA) - 1})
    mock_response("POST", f"{UP}/create", payload=agreed())
    assert await begin(remote) == session()


async def test_begin_resumes_task_before_single_request(make, mock_response):
    mock_response("GET", f"{UP}/resume/t-1", payload={"uploaded_chunks": [0]})
    assert await begin(make(direct="auto"), session()) == session([0])


@pytest.mark.parametrize("tasks", [200, 404])
@pytest.mark.parametrize(
    ("status", "failure"),
    [(200, None), (404, None), (500, None), (401, Unauthorized), (403, Permanent), (502, Transient)],
)
async def test_check_by_status(make, mock_response, status, failure: type[Failure] | None, tasks):
    mock_response("GET", f"{UP}/tasks", status=tasks)
    mock_response("GET", PROBE, status=status)
    nowhere = f"{URL}/api/files/{'0' * 32}"
    mock_response("GET", nowhere, status=404)
    mock_response("GET", f"{nowhere}?original=true", status=404)
    if failure is None:
        await make().check()
    else:
        with pytest.raises(failure):
            await make().check()


@pytest.mark.parametrize("moved", ["tasks", "resume"])
async def test_check_redirect_is_remote_failure(make, mock_response, moved):
    mock_response("GET", f"{UP}/tasks", **(MOVED if moved == "tasks" else {"status": 404}))
    mock_response("GET", PROBE, **MOVED)
    with pytest.raises(Transient, match=r"redirects to https://new\.test; set url to that") as caught:
        await make().check()
    assert caught.value.scope is Scope.REMOTE


async def test_api_call_redirect_is_remote_failure(make, mock_response):
    for path in ("create", "chunk/t-1/0", "complete/t-1"):
        mock_response("POST", f"{UP}/{path}", **MOVED)
    for path in ("resume/t-1", "progress/t-1"):
        mock_response("GET", f"{UP}/{path}", **MOVED)
    remote = make()
    poll = remote.poll(Pending(token="t-1"), content_of(remote, DATA))
    for call in (begin(remote), begin(remote, session()), send(remote), finish(remote), poll):
        with pytest.raises(Transient, match="set url to that") as caught:
            await call
        assert caught.value.scope is Scope.REMOTE


MOVED = {"status": 308, "headers": {"Location": "https://new.test/x"}}
CREATE_OPTIONS = {
    "hash": HASH,
    "pool_id": POOL,
    "bundle_id": "00000000-0000-0000-0000-000000000002",
    "encrypt_password": "psst",
    "expired_at": "2023-11-15T22:13:20Z",
}
REMOTE_OPTIONS = {"bundle_id": CREATE_OPTIONS["bundle_id"], "encrypt_password": "psst", "expired_at": "1d"}


async def test_begin_sends_create_fields(make_client, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_request(reader))
        writer.write(reply("200 OK", json.dumps(agreed()).encode()))

    server = await start_server(handle)
    remote = make_client("multipart", server.url, prefix="/drive/files/upload", chunk_size=100_000, **REMOTE_OPTIONS)
    await begin(remote, name="عکس\n🦊.jpg", failures=1)
    head, _, body = server.seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /drive/files/upload/create HTTP/1.1\r\n")
    assert json.loads(body) == {
        **CREATE_OPTIONS,
        "file_name": "عکس\n🦊.jpg",
        "file_size": len(DATA),
        "content_type": "image/jpeg",
        "chunk_size": 100_000,
    }


async def test_send_single_request_form(make_client, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_request(reader))
        writer.write(reply("200 OK", json.dumps(FILE).encode()))

    server = await start_server(handle)
    content = content_of(remote := make_client("multipart", server.url), DATA)
    await remote.send(DIRECT, 0, content, MemorySource(DATA, name="🦊.jpg"))
    head, _, body = server.seen[0].partition(b"\r\n\r\n")
    boundary = re.search(rb"Content-Type: multipart/form-data; boundary=(\S+)", head)[1]
    first, *parts, last = body.split(b"--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    field = re.compile(rb'\r\nContent-Disposition: form-data; name="(.+)"\r\n\r\n(.+)\r\n')
    fields = dict(field.fullmatch(part).groups() for part in parts[:-1])
    assert fields == {b"hash": HASH.encode(), b"pool_id": POOL.encode()}
    disposition = 'Content-Disposition: form-data; name="file"; filename="🦊.jpg"'
    assert parts[-1] == f"\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode() + DATA + b"\r\n"


async def test_send_large_chunk_is_read_in_small_blocks(make_client, start_server):
    """Many chunks can be in flight: their blocks determine how much memory they take."""

    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    server = await start_server(handle)
    remote = make_client("multipart", server.url)
    source, reads = MemorySource(bytes(2 * 5 * 1024**2)), []
    read = source.read
    source.read = lambda offset, length: reads.append((offset, length)) or read(offset, length)
    content = content_of(remote, source.data)
    await remote.send(session(chunk_size=5 * 1024**2, count=2), 1, content, source)
    assert reads == [(5 * 1024**2 + at, 512 * 1024) for at in range(0, 5 * 1024**2, 512 * 1024)]


async def test_begin_sends_fixed_expiry_in_utc(make_client, start_server):
    async def handle(server, reader, writer):
        server.seen.append(await read_request(reader))
        writer.write(reply("200 OK", json.dumps(agreed()).encode()))

    server = await start_server(handle)
    await begin(
        make_client("multipart", server.url, chunk_size=100_000, expired_at="2030-01-31T12:00:00+02:00"), failures=1
    )
    assert b'"expired_at": "2030-01-31T10:00:00Z"' in server.seen[0]
