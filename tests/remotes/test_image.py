"""How the image API's client reads answers."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import ChunkResult, Proof, Session, Stored
from tests.remotes.helpers import Memory, content_of, read_request, reply

URL = "http://host.test:4444"
DATA = b"ascii art " * 100
KEY = hashlib.sha256(DATA).hexdigest()
WHOLE = Stored(ref=f"{KEY}:text", proof=Proof.BYTES)
PROBE = f"{URL}/image/{'0' * 64}"


@pytest.fixture
def make(remote_to: Any) -> Any:
    return lambda **values: remote_to("image", URL, **{"chunk_size": 400, **values})


@pytest.fixture
def honest(answers: Any) -> None:
    """A server that says of an image that can't be there that it is not."""
    answers("GET", PROBE, status=404, repeat=True)


def session(*, needs_verification: bool = False) -> Session:
    return Session(token=KEY, chunk_size=400, count=3, needs_verification=needs_verification)


async def begin(remote: Any, earlier: Session | None = None) -> Session | Stored:
    return await remote.begin(content_of(remote, DATA), Memory(DATA), earlier, failures=0)


async def send(remote: Any, used: Session | None = None, index: int = 0) -> ChunkResult:
    return await remote.send(used or session(), index, content_of(remote, DATA), Memory(DATA))


async def finish(remote: Any, used: Session) -> Stored:
    return await remote.finish(used, content_of(remote, DATA), Memory(DATA))


@pytest.mark.parametrize("status", [200, 201])
async def test_registered(make, answers, honest, status):
    answers("POST", f"{URL}/image", status=status)
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
async def test_a_registration_refused_with_400_asks_the_download_and_then_a_chunk(
    make, answers, honest, download, begun
):
    answers("POST", f"{URL}/image", status=400, payload={"error": {"Sha256": "exist_in_db=images"}})
    answers("GET", f"{URL}/image/{KEY}", content_type="text/plain", **download)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=201)
    if isinstance(begun, Session):
        begun = replace(begun, received=ChunkSet([0]))
    assert await begin(make()) == begun


@pytest.mark.parametrize("status", [404, 400])
async def test_a_registration_that_is_refused_as_is_the_chunk(make, answers, status):
    answers("POST", f"{URL}/image", status=400, payload={"error": {"Size": "max=100"}})
    answers("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=status)
    with pytest.raises(Permanent, match="Size: max=100"):
        await begin(make())


async def test_a_registration_refused_with_400_for_different_content(make, answers, honest):
    answers("POST", f"{URL}/image", status=400, payload={"error": {"Sha256": "exist_in_db=images"}})
    answers("GET", f"{URL}/image/{KEY}", body=DATA[::-1], content_type="text/plain", repeat=True)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400)
    with pytest.raises(Permanent, match="has different content under this hash"):
        await begin(make())


async def test_a_download_that_fails_for_the_server_as_a_whole_is_no_answer(make, answers):
    answers("POST", f"{URL}/image", status=409)
    answers("GET", f"{URL}/image/{KEY}", status=503)
    with pytest.raises(Transient, match="503"):
        await begin(make())


@pytest.mark.parametrize("verify", ["conflict", "always"])
@DOWNLOADS
async def test_registered_before_is_a_question_that_the_download_answers(
    make, answers, honest, download, begun, verify
):
    answers("POST", f"{URL}/image", status=409)
    answers("GET", f"{URL}/image/{KEY}", content_type="text/plain", **download)
    assert await begin(make(verify=verify)) == begun


@pytest.mark.parametrize(("asked", "chunk_size"), [(400, 400), (399, 396), (5, 4), (3, 3), (1, 1)])
async def test_chunks_begin_at_whole_bytes(make, answers, asked, chunk_size):
    answers("POST", f"{URL}/image", status=201)
    assert (await begin(make(chunk_size=asked))).chunk_size == chunk_size


async def test_registered_before_and_no_download_wanted(make, answers):
    answers("POST", f"{URL}/image", status=409)
    assert await begin(make(verify="never")) == session(needs_verification=True)


async def test_a_remembered_session_costs_no_request(make, answers):
    assert await begin(make(), session()) == session()


async def test_a_remembered_session_with_nothing_left_to_send_is_compared_in_the_end(make):
    whole = Session(token=KEY, chunk_size=400, count=3, received=ChunkSet(range(3)))
    assert await begin(make(), whole) == replace(whole, needs_verification=True)


async def test_a_remembered_session_of_another_size_is_not_taken_up(make, answers):
    answers("POST", f"{URL}/image", status=201)
    assert await begin(make(), Session(token=KEY, chunk_size=400, count=9)) == session()


@pytest.mark.parametrize(
    ("status", "failure"), [(400, Permanent), (401, Unauthorized), (403, Permanent), (415, Permanent), (500, Transient)]
)
async def test_not_registered(make, answers, status, failure):
    answers("POST", f"{URL}/image", status=status, payload={"code": status, "message": "because"})
    answers("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=404)
    with pytest.raises(failure, match="because"):
        await begin(make())


@pytest.mark.parametrize(
    ("status", "receipt"),
    [(200, ChunkResult()), (201, ChunkResult()), (409, ChunkResult(needs_verification=True))],
)
async def test_a_chunk_has_arrived(make, answers, honest, status, receipt):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=status)
    assert await send(make()) == receipt


@pytest.mark.parametrize(
    ("status", "failure"), [(404, SessionLost), (401, Unauthorized), (403, Permanent), (500, Transient)]
)
async def test_a_chunk_has_not_arrived(make, answers, status, failure):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=status, payload={"message": "because"})
    with pytest.raises(failure, match="because"):
        await send(make())


async def test_400_to_a_chunk_of_an_image_that_is_complete(make, answers):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "image is complete"})
    answers("GET", f"{URL}/image/{KEY}", body=DATA, content_type="text/plain")
    assert await send(make()) == ChunkResult(stored=WHOLE)


@pytest.mark.parametrize("needs_verification", [False, True])
async def test_400_to_a_chunk_of_an_image_that_is_not(make, answers, needs_verification):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "chunk id"})
    answers("GET", f"{URL}/image/{KEY}", status=404)
    with pytest.raises(Permanent, match="chunk id") as caught:
        await send(make(), session(needs_verification=needs_verification))
    assert ("another size" in str(caught.value)) == needs_verification


async def test_400_to_a_chunk_where_no_download_is_wanted(make, answers):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "chunk id"})
    with pytest.raises(Permanent, match="chunk id"):
        await send(make(verify="never"))


@pytest.mark.parametrize(
    ("status", "message"), [(413, ""), (400, "request entity too large"), (400, "Body exceeded 10kb limit")]
)
async def test_a_chunk_that_is_too_large_is_a_lesson_for_the_next_files(make, answers, status, message):
    remote = make(chunk_size=1000)
    large = Session(token=KEY, chunk_size=1000, count=1)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=status, payload={"message": message}, repeat=True)
    for _ in range(2):  # a second chunk of that size teaches nothing new
        with pytest.raises(Permanent, match=r"no chunk of 1000 characters.*use chunks of 500"):
            await send(remote, large)
    assert remote.capabilities == {"refused": 1000}
    answers("POST", f"{URL}/image", status=201)
    answers("POST", f"{URL}/image", status=201)
    assert await begin(remote) == Session(token=KEY, chunk_size=500, count=2)
    after_restart = make(chunk_size=1000)
    after_restart.restore_capabilities(remote.capabilities)
    assert await begin(after_restart) == Session(token=KEY, chunk_size=500, count=2)


async def test_the_first_400_to_a_chunk_of_a_new_image_is_handled_like_413(make, answers, honest):
    remote = make(chunk_size=1000)
    answers("POST", f"{URL}/image", status=201)
    begun = await begin(remote)
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400, payload={"message": "unexpected end of JSON input"})
    answers("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    with pytest.raises(Permanent, match=r"unexpected end of JSON.*use chunks of 500"):
        await send(remote, begun)
    assert remote.capabilities == {"refused": 1000}


async def test_a_400_to_a_chunk_of_a_size_that_was_taken_is_not_about_the_size(make, answers, honest):
    remote = make(chunk_size=1000)
    chunks = f"{URL}/image/{KEY}/chunks"
    for status in (201, 400):
        answers("POST", f"{URL}/image", status=201)
        answers("POST", chunks, status=status, payload={"message": "no"})
    answers("GET", f"{URL}/image/{KEY}", status=404, repeat=True)
    await send(remote, await begin(remote))
    begun = await begin(remote)
    with pytest.raises(Permanent, match=r"no$"):
        await send(remote, begun)
    assert remote.capabilities == {}


async def test_a_400_on_a_remembered_session_is_not_about_the_size(make, answers, honest):
    remote = make()
    answers("POST", f"{URL}/image/{KEY}/chunks", status=400)
    answers("GET", f"{URL}/image/{KEY}", status=404)
    with pytest.raises(Permanent, match="Bad Request"):
        await send(remote, session())
    assert remote.capabilities == {}


async def test_a_server_that_takes_no_chunk_at_all(make, answers):
    answers("POST", f"{URL}/image/{KEY}/chunks", status=413)
    with pytest.raises(Permanent, match="does not even accept"):
        await send(make(), Session(token=KEY, chunk_size=250, count=4))


@pytest.mark.parametrize(("verify", "needs_verification"), [("never", True), ("never", False), ("conflict", False)])
async def test_the_end_without_a_comparison(make, answers, verify, needs_verification):
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
async def test_the_end_with_a_comparison(make, answers, honest, verify, needs_verification, download, end):
    answers("GET", f"{URL}/image/{KEY}", **{"content_type": "text/plain", **download})
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
async def test_check(make, answers, status, failure: type[Failure] | None):
    answers("GET", f"{URL}/image/{'0' * 64}", status=status, content_type="text/plain")
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
async def test_block_size(remote_to, values, size):
    assert remote_to("image", URL, **values).block_size == size


async def test_a_comparison_reads_no_more_than_the_image_has(remote_to, rogue):
    sent = 0

    async def handle(it, reader, writer):
        nonlocal sent
        if b"/image/000" in await read_request(reader):
            writer.write(reply("404 Not Found"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + DATA)
        while sent < 32 * 1024 * 1024:
            writer.write(b"y" * 1024)
            sent += 1024
            await writer.drain()

    server = await rogue(handle)
    with pytest.raises(Transient, match="longer than the image"):
        await finish(remote_to("image", server.url, verify="always"), session())
    assert sent < 16 * 1024 * 1024


@pytest.mark.parametrize(("length", "failure"), [(len(DATA) - 1, SessionLost), (len(DATA) + 1, Permanent)])
async def test_a_comparison_is_over_when_the_length_shows_it(remote_to, rogue, length, failure):
    async def handle(it, reader, writer):
        if b"/image/000" in await read_request(reader):
            writer.write(reply("404 Not Found"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % length)
        await reader.read(-1)

    server = await rogue(handle)
    with pytest.raises(failure):
        await finish(remote_to("image", server.url, verify="always"), session())
