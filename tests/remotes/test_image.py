"""Test how the client of the image API interprets responses."""

import hashlib
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure, Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import ChunkResult, Proof, Session, Stored
from tests.remotes.helpers import MemorySource, content_of, read_request, reply

URL = "http://host.test:4444"
DATA = b"ascii art " * 100
KEY = hashlib.sha256(DATA).hexdigest()
WHOLE = Stored(ref=f"{KEY}:text", proof=Proof.BYTES)
PROBE = f"{URL}/image/{'0' * 64}"


@pytest.fixture
def make(make_client: Any) -> Any:
    return lambda **values: make_client("image", URL, **{"chunk_size": 400, **values})


@pytest.fixture
def reliable_server(mock_response: Any) -> None:
    """A server that answers 404 for an unknown image."""
    mock_response("GET", PROBE, status=404, repeat=True)


def session(*, needs_verification: bool = False) -> Session:
    return Session(token=KEY, chunk_size=400, count=3, needs_verification=needs_verification)


async def begin(remote: Any, earlier: Session | None = None) -> Session | Stored:
    return await remote.begin(content_of(remote, DATA), MemorySource(DATA), earlier, failures=0)


async def send(remote: Any, used: Session | None = None, index: int = 0) -> ChunkResult:
    return await remote.send(used or session(), index, content_of(remote, DATA), MemorySource(DATA))


async def finish(remote: Any, used: Session) -> Stored:
    return await remote.finish(used, content_of(remote, DATA), MemorySource(DATA))


@pytest.mark.parametrize("status", [200, 201])
async def test_begin_registers_image(make, mock_response, reliable_server, status):
    mock_response("POST", f"{URL}/image", status=status)
    assert await begin(make()) == session()


DOWNLOADS = pytest.mark.parametrize(
    ("download", "begun"),
    [
        ({"status": 200, "body": DATA}, Stored(ref=WHOLE.ref, already=True, proof=Proof.BYTES)),
        ({"status": 200, "body": DATA[:400]}, session(needs_verification=True)),
        ({"status": 200, "body": DATA[::-1]}, session(needs_verification=True)),
        ({"status": 200, "body": DATA + b"more"}, session(needs_verification=True)),
        ({"status": 404}, session(needs_verification=True)),
        ({"status": 400}, session(needs_verification=True)),
        ({"status": 500}, session(needs_verification=True)),
        ({"status": 200, "body": b""}, session(needs_verification=True)),
        ({"status": 200, "body": DATA[:400].ljust(len(DATA), b"\0")}, session(needs_verification=True)),
    ],
)


@DOWNLOADS
async def test_begin_400_compares_copy_then_sends_chunk(make, mock_response, reliable_server, download, begun):
    mock_response("POST", f"{URL}/image", status=400, payload={"error": {"Sha256": "exist_in_db=images"}})
    mock_response("GET", f"{URL}/image/{KEY}", content_type="text/plain", **download)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=201)
    if isinstance(begun, Session):
        begun = replace(begun, received=ChunkSet([0]))
    assert await begin(make()) == begun


@pytest.mark.parametrize("status", [404, 400])
async def test_begin_400_and_rejected_chunk_is_permanent(make, mock_response, status):
    mock_response("POST", f"{URL}/image", status=400, payload={"error": {"Size": "max=100"}})
    mock_response("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=status)
    with pytest.raises(Permanent, match="Size: max=100"):
        await begin(make())


async def test_begin_400_different_content_is_permanent(make, mock_response, reliable_server):
    mock_response("POST", f"{URL}/image", status=400, payload={"error": {"Sha256": "exist_in_db=images"}})
    mock_response("GET", f"{URL}/image/{KEY}", body=DATA[::-1], content_type="text/plain", repeat=True)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400)
    with pytest.raises(Permanent, match="has different content under this hash"):
        await begin(make())


async def test_begin_409_server_failure_raises(make, mock_response):
    mock_response("POST", f"{URL}/image", status=409)
    mock_response("GET", f"{URL}/image/{KEY}", status=503)
    with pytest.raises(Transient, match="503"):
        await begin(make())


@pytest.mark.parametrize("verify", ["conflict", "always"])
@DOWNLOADS
async def test_begin_409_compares_copy(make, mock_response, reliable_server, download, begun, verify):
    mock_response("POST", f"{URL}/image", status=409)
    mock_response("GET", f"{URL}/image/{KEY}", content_type="text/plain", **download)
    assert await begin(make(verify=verify)) == begun


async def test_begin_409_different_copy_checks_server(make, mock_response):
    mock_response("POST", f"{URL}/image", status=409, repeat=True)
    mock_response("GET", f"{URL}/image/{KEY}", body=DATA, content_type="text/plain")
    assert await begin(make()) == Stored(ref=WHOLE.ref, already=True, proof=Proof.BYTES)
    mock_response("GET", f"{URL}/image/{KEY}", body=DATA[::-1], content_type="text/plain")
    mock_response("GET", PROBE, body=DATA[::-1], content_type="text/plain")
    with pytest.raises(Transient, match="an image") as caught:  # the server sends a page for each image
        await begin(make())
    assert caught.value.scope is Scope.REMOTE


@pytest.mark.parametrize(("asked", "chunk_size"), [(400, 400), (399, 396), (5, 4), (3, 3), (1, 1)])
async def test_begin_chunk_size_is_multiple_of_four(make, mock_response, asked, chunk_size):
    mock_response("POST", f"{URL}/image", status=201)
    assert (await begin(make(chunk_size=asked))).chunk_size == chunk_size


async def test_begin_409_verify_never_skips_download(make, mock_response):
    mock_response("POST", f"{URL}/image", status=409)
    assert await begin(make(verify="never")) == session(needs_verification=True)


async def test_begin_resumed_session_sends_no_request(make, mock_response):
    assert await begin(make(), session()) == session()


async def test_begin_complete_session_needs_verification(make):
    complete = Session(token=KEY, chunk_size=400, count=3, received=ChunkSet(range(3)))
    assert await begin(make(), complete) == replace(complete, needs_verification=True)


async def test_begin_session_of_other_size_registers_again(make, mock_response):
    mock_response("POST", f"{URL}/image", status=201)
    assert await begin(make(), Session(token=KEY, chunk_size=400, count=9)) == session()


@pytest.mark.parametrize(
    ("status", "failure"), [(400, Permanent), (401, Unauthorized), (403, Permanent), (415, Permanent), (500, Transient)]
)
async def test_begin_rejected_registration_raises(make, mock_response, status, failure):
    mock_response("POST", f"{URL}/image", status=status, payload={"code": status, "message": "because"})
    mock_response("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=404)
    with pytest.raises(failure, match="because"):
        await begin(make())


@pytest.mark.parametrize(
    ("status", "receipt"),
    [(200, ChunkResult()), (201, ChunkResult()), (409, ChunkResult(needs_verification=True))],
)
async def test_send_accepted_chunk_result(make, mock_response, reliable_server, status, receipt):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=status)
    assert await send(make()) == receipt


@pytest.mark.parametrize(
    ("status", "failure"), [(404, SessionLost), (401, Unauthorized), (403, Permanent), (500, Transient)]
)
async def test_send_rejected_chunk_raises(make, mock_response, status, failure):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=status, payload={"message": "because"})
    with pytest.raises(failure, match="because"):
        await send(make())


async def test_send_400_for_complete_image_is_stored(make, mock_response):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "image is complete"})
    mock_response("GET", f"{URL}/image/{KEY}", body=DATA, content_type="text/plain")
    assert await send(make()) == ChunkResult(stored=WHOLE)


async def test_send_400_and_download_without_response_is_transient(make, mock_response):
    """The image may be complete: only a response to the download shows it."""
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "image is complete"})
    mock_response("GET", f"{URL}/image/{KEY}", exception=aiohttp.ServerDisconnectedError())
    with pytest.raises(Transient, match="closed the connection"):
        await send(make())


@pytest.mark.parametrize("needs_verification", [False, True])
async def test_send_400_for_incomplete_image_is_permanent(make, mock_response, needs_verification):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "chunk id"})
    mock_response("GET", f"{URL}/image/{KEY}", status=404)
    with pytest.raises(Permanent, match="chunk id") as caught:
        await send(make(), session(needs_verification=needs_verification))
    assert ("another size" in str(caught.value)) == needs_verification


async def test_send_400_verify_never_is_permanent(make, mock_response):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "chunk id"})
    with pytest.raises(Permanent, match="chunk id"):
        await send(make(verify="never"))


@pytest.mark.parametrize(
    ("status", "message"), [(413, ""), (400, "request entity too large"), (400, "Body exceeded 10kb limit")]
)
async def test_send_too_large_chunk_halves_chunk_size(make, mock_response, status, message):
    remote = make(chunk_size=1000)
    large = Session(token=KEY, chunk_size=1000, count=1)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=status, payload={"message": message}, repeat=True)
    for _ in range(2):  # a second chunk of that size teaches nothing new
        with pytest.raises(Permanent, match=r"no chunk of 1000 characters.*use chunks of 500"):
            await send(remote, large)
    assert remote.capabilities == {"refused": 1000}
    mock_response("POST", f"{URL}/image", status=201)
    mock_response("POST", f"{URL}/image", status=201)
    assert await begin(remote) == Session(token=KEY, chunk_size=500, count=2)
    after_restart = make(chunk_size=1000)
    after_restart.restore_capabilities(remote.capabilities)
    assert await begin(after_restart) == Session(token=KEY, chunk_size=500, count=2)


async def test_send_400_for_new_image_halves_chunk_size(make, mock_response, reliable_server):
    remote = make(chunk_size=1000)
    mock_response("POST", f"{URL}/image", status=201)
    begun = await begin(remote)
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "unexpected end of JSON input"})
    mock_response("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    with pytest.raises(Permanent, match=r"unexpected end of JSON.*use chunks of 500"):
        await send(remote, begun)
    assert remote.capabilities == {"refused": 1000}


async def test_send_400_for_accepted_size_keeps_chunk_size(make, mock_response, reliable_server):
    remote = make(chunk_size=1000)
    chunks = f"{URL}/image/{KEY}/chunks"
    for status in (201, 400):
        mock_response("POST", f"{URL}/image", status=201)
        mock_response("POST", chunks, status=status, payload={"message": "no"})
    mock_response("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    await send(remote, await begin(remote))
    begun = await begin(remote)
    with pytest.raises(Permanent, match=r"no$"):
        await send(remote, begun)
    assert remote.capabilities == {}


async def test_send_400_for_resumed_session_keeps_chunk_size(make, mock_response, reliable_server):
    remote = make()
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=400)
    mock_response("GET", f"{URL}/image/{KEY}", status=404)
    with pytest.raises(Permanent, match="Bad Request"):
        await send(remote, session())
    assert remote.capabilities == {}


async def test_send_413_for_smallest_chunk_is_permanent(make, mock_response):
    mock_response("POST", f"{URL}/image/{KEY}/chunks", status=413)
    with pytest.raises(Permanent, match="does not even accept"):
        await send(make(), Session(token=KEY, chunk_size=250, count=4))


@pytest.mark.parametrize(("verify", "needs_verification"), [("never", True), ("never", False), ("conflict", False)])
async def test_finish_without_comparison_proof(make, mock_response, verify, needs_verification):
    proof = Proof.NONE if needs_verification else Proof.SIZE
    assert await finish(make(verify=verify), session(needs_verification=needs_verification)) == replace(
        WHOLE, proof=proof
    )


@pytest.mark.parametrize(("verify", "needs_verification"), [("always", False), ("conflict", True)])
@pytest.mark.parametrize(
    ("download", "end"),
    [
        ({"body": DATA}, WHOLE),
        ({"body": DATA, "headers": {"Content-Length": str(len(DATA))}}, WHOLE),
        ({"body": DATA[:-1]}, SessionLost),
        ({"body": b"", "headers": {"Content-Length": "7"}}, SessionLost),
        ({"status": 404}, SessionLost),
        ({"status": 400}, SessionLost),
        ({"status": 403}, Permanent),
        ({"body": DATA[::-1]}, Permanent),
        ({"body": DATA[:400].ljust(len(DATA), b"\0")}, SessionLost),
        ({"body": DATA + b"!", "headers": {"Content-Length": str(len(DATA) + 1)}}, Permanent),
        ({"body": DATA + b"!"}, Transient),  # it may have no end: a server in trouble, not another image
        ({"status": 500}, Transient),
        ({"body": DATA, "content_type": "text/html"}, WHOLE),  # Go's servers guess the type
        ({"body": DATA[:400], "content_type": "text/html"}, SessionLost),
    ],
)
async def test_finish_comparison_result(
    make, mock_response, reliable_server, verify, needs_verification, download, end
):
    mock_response("GET", f"{URL}/image/{KEY}", **{"content_type": "text/plain", **download})
    remote = make(verify=verify)
    if isinstance(end, Stored):
        assert await finish(remote, session(needs_verification=needs_verification)) == end
    else:
        with pytest.raises(end):
            await finish(remote, session(needs_verification=needs_verification))


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, Transient),
        (204, Transient),
        (404, None),
        (400, None),
        (500, None),
        (401, Unauthorized),
        (403, Permanent),
        (503, Transient),
    ],
)
async def test_check_by_status(make, mock_response, status, failure: type[Failure] | None):
    mock_response("GET", f"{URL}/image/{'0' * 64}", status=status, content_type="text/plain")
    if failure is None:
        await make().check()
    else:
        with pytest.raises(failure):
            await make().check()


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({}, 36 * 1024),
        ({"encoding": "base64", "chunk_size": 50_000}, 37_500),
        ({"encoding": "text"}, 48 * 1024),
        ({"chunk_size": 3}, 1),
    ],
)
async def test_block_size_by_encoding(make_client, values, size):
    assert make_client("image", URL, **values).block_size == size


async def test_finish_endless_copy_is_not_read(make_client, start_server):
    sent = 0

    async def handle(server, reader, writer):
        nonlocal sent
        if b"/image/000" in await read_request(reader):
            writer.write(reply("404 Not Found"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + DATA)
        while sent < 32 * 1024 * 1024:
            writer.write(b"y" * 1024)
            sent += 1024
            await writer.drain()

    server = await start_server(handle)
    with pytest.raises(Transient, match="longer than the image"):
        await finish(make_client("image", server.url, verify="always"), session())
    assert sent < 16 * 1024 * 1024


@pytest.mark.parametrize(("length", "failure"), [(len(DATA) - 1, SessionLost), (len(DATA) + 1, Permanent)])
async def test_finish_wrong_length_ends_download(make_client, start_server, length, failure):
    async def handle(server, reader, writer):
        if b"/image/000" in await read_request(reader):
            writer.write(reply("404 Not Found"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % length)
        await reader.read(-1)

    server = await start_server(handle)
    with pytest.raises(failure):
        await finish(make_client("image", server.url, verify="always"), session())
