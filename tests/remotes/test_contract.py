"""What every remote does alike, shown against the receiver over real sockets."""

import base64
import random
from typing import Any

import aiohttp
import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure, FileChanged, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Presence, Proof, Session, Stored
from tests.remotes.helpers import TOKEN, Memory, Meter, content_of, read_head, read_request, reply, upload

CHUNK = 4096
SIZES = [1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK // 4 * 3, CHUNK // 4 * 3 + 1, 50_000]
KINDS = {
    "text": ("image", {"encoding": "text"}),
    "base64url": ("image", {"encoding": "base64url"}),
    "base64": ("image", {"encoding": "base64"}),
    "image": ("image", {}),
    "multipart": ("multipart", {"direct": "never"}),
    "md5": ("multipart", {"direct": "never", "hash": "md5"}),
    "direct": ("multipart", {}),
}

ALREADY = {
    **dict.fromkeys(("text", "base64url", "base64", "image"), Proof.BYTES),
    "multipart": Proof.HASH,
    "md5": Proof.SIZE,
}
"""What it proves that the receiver has a content already."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(remote_to: Any, receiver: str) -> Any:
    def to_receiver(kind: str, **values: Any) -> Any:
        service, settings = KINDS[kind]
        return remote_to(service, receiver, **{"token": TOKEN, "chunk_size": CHUNK, **settings, **values})

    return to_receiver


def noise(size: int, kind: str) -> bytes:
    data = random.Random(size).randbytes(size)
    return data.translate(bytes(97 + byte % 26 for byte in range(256))) if kind == "text" else b"\xff" + data[1:]


async def fetched(receiver: str, stored: Stored) -> bytes:
    """Return the file that the server has."""
    digest, _, encoding = stored.ref.partition(":")
    path = f"/image/{digest}" if encoding else f"/api/files/{digest}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession() as session, session.get(receiver + path, headers=headers) as answer:
        assert answer.status == 200
        body = await answer.read()
    return {"": bytes, "text": bytes, "base64url": base64.urlsafe_b64decode, "base64": base64.b64decode}[encoding](body)


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_arrives_whole_with_chunks_in_any_order(make, receiver, kind, size):
    remote, source = make(kind), Memory(noise(size, kind))
    stored = await upload(remote, source, order=lambda indices: random.Random(size).sample(indices, len(indices)))
    assert not stored.already
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "direct"])
async def test_what_is_there_costs_no_chunk(make, kind):
    remote, source = make(kind), Memory(noise(10_000, kind))
    first = await upload(remote, source)
    again = await remote.begin(content_of(remote, source.data), Memory(source.data, name="b.png"), None, failures=0)
    assert again == Stored(ref=first.ref, already=True, proof=ALREADY[kind])


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_a_restart_sends_only_what_was_not_acknowledged(make, receiver, kind):
    first, source, meter = make(kind), Memory(noise(5 * CHUNK, kind)), Meter()
    content = content_of(first, source.data)
    begun = await first.begin(content, source, None, failures=0)
    for index in (0, 2, 3):
        await first.send(begun, index, content, source)
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet([0, 2, 3])
    )
    second = make(kind, throttle=meter)
    resumed = await second.begin(content, source, remembered, failures=1)
    assert list(resumed.received) == [0, 2, 3]
    stored = await upload(second, source, remembered, failures=1)
    assert await fetched(receiver, stored) == source.data
    assert sum(meter.spent) < (begun.count - 3) * (begun.chunk_size + 512) + 512


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_a_chunk_sent_twice_does_no_harm(make, receiver, kind):
    remote, source = make(kind), Memory(noise(3 * CHUNK, kind))
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 1, content, source)
    stored = await upload(remote, source, begun)
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_a_session_that_the_server_does_not_know_is_lost(make, kind):
    remote, source = make(kind), Memory(noise(CHUNK, kind))
    content = content_of(remote, source.data)
    unknown = "1" * (64 if kind != "multipart" else 32)
    session = Session(token=unknown, chunk_size=CHUNK, count=-(-content.size // CHUNK))
    taken_up = await remote.begin(content, source, session, failures=1)
    with pytest.raises(SessionLost, match="404"):
        await remote.send(taken_up, 0, content, source)


async def test_a_file_that_changes_stops_the_upload_with_that_reason(make, kind):
    remote, source = make(kind), Memory(noise(200_000, kind))
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    source.failure = FileChanged("it changed")
    with pytest.raises(FileChanged, match="it changed"):
        await remote.send(begun, 0, content, source)


async def test_every_byte_goes_through_the_throttle(make, kind):
    meter = Meter()
    remote, source = make(kind, throttle=meter), Memory(noise(300_000, kind))
    await upload(remote, source)
    assert sum(meter.spent) >= source.size
    assert max(meter.spent) <= 64 * 1024


async def test_what_was_stored_is_confirmed_and_what_was_not_is_not(make, kind):
    remote, source = make(kind), Memory(noise(200_000, kind))
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    found = await remote.confirm(stored.ref, content)
    assert (found.presence, found.proof) == (Presence.YES, Proof.SIZE)
    found = await remote.confirm(stored.ref, content, thorough=True)
    assert found.presence is Presence.YES
    assert found.proof >= remote.required_proof
    other = content_of(remote, noise(1000, kind))
    ref = other.key.rpartition(":")[2] if KINDS[kind][0] == "multipart" else f"{other.key}:{other.encoding}"
    for thorough in (False, True):
        assert (await remote.confirm(ref, other, thorough=thorough)).presence is Presence.NO


async def test_check_passes_with_the_token_and_tells_without(make, kind):
    await make(kind).check()
    for token in (None, "another-one"):
        with pytest.raises(Unauthorized, match="401") as caught:
            await make(kind, token=token).check()
        assert "another-one" not in str(caught.value)


async def test_no_server_is_a_failure_of_the_whole_remote(remote_to, kind, unused_tcp_port):
    service, values = KINDS[kind]
    remote = remote_to(service, f"http://127.0.0.1:{unused_tcp_port}", **values)
    with pytest.raises(Transient, match="refused") as caught:
        await upload(remote, Memory(noise(100, kind)))
    assert caught.value.scope == "remote"


async def test_identity_and_facts_hold_no_secret(make, kind):
    remote = make(kind, headers={"X-Key": "another-secret"})
    assert TOKEN not in remote.identity
    assert "another-secret" not in remote.identity
    assert remote.capabilities == {}


async def test_names_of_all_kinds(make, receiver):
    for name in ("a b.jpg", "عکس.jpg", "🦊.png", 'quo"te.jpg', "line\nbreak.jpg", "back\\slash.png"):
        remote = make("direct")
        source = Memory(b"\xff" + name.encode(), name=name)
        stored = await upload(remote, source)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{receiver}/api/files/{stored.ref}", headers=headers) as answer,
        ):
            assert answer.content_disposition.filename == name


@pytest.mark.parametrize("kind", ["text", "image", "multipart"])
@pytest.mark.parametrize("start", [b"<html>", b"<!-- by hand --><svg>", b"<p>"])
async def test_a_file_that_looks_like_a_page(make, kind, start):
    remote, source = make(kind), Memory(start + b"art" * CHUNK, name="a.svg", media_type="image/svg+xml")
    stored = await upload(remote, source)
    assert (await upload(remote, source)).already
    taken = bytearray()

    def take(piece: bytes) -> bool:
        taken.extend(piece)
        return True

    key = content_of(remote, source.data).key
    assert await remote.fetch(stored.ref, key, take) == key
    assert taken == source.data


async def test_a_text_of_all_ascii_characters(make, receiver):
    source = Memory(bytes(range(128)) * 40)
    stored = await upload(make("text"), source)
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", ["image", "multipart"])
async def test_a_chunk_in_vain_leaves_nothing_on_the_server(make, tmp_path, kind):
    def everything():
        return {path: path.stat().st_size for path in (tmp_path / "received").rglob("*")}

    meter = Meter()
    remote = make(kind, throttle=meter)
    before = everything()
    await remote.measure_upload(100_000)
    assert sum(meter.spent) > 100_000
    assert everything() == before
    assert not remote.capabilities
    with pytest.raises(Permanent, match="set chunk_size to less"):
        await remote.measure_upload(8 * 1024 * 1024)


@pytest.mark.parametrize("kind", ["image", "multipart"])
@pytest.mark.parametrize(
    ("told", "words"),
    [
        (reply("201 Created"), "accepted a chunk of an unknown upload"),
        (reply("404 Not Found", b"<html><title>No such page</title>"), "No such page"),
        (
            reply("301 Moved", b"", "Location: https://new.example/x"),
            "redirects to https://new.example; set url to that",
        ),
        (reply("500 Sorry", b'{"error": "a bug"}'), "a bug"),
    ],
)
async def test_a_chunk_that_was_not_sent_in_vain_says_why(remote_to, rogue, kind, told, words):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(told)

    with pytest.raises(Failure, match=words):
        await remote_to(kind, (await rogue(handle)).url).measure_upload(1000)


@pytest.mark.parametrize("kind", ["image", "multipart"])
async def test_a_chunk_that_is_refused_early_was_not_sent(remote_to, rogue, kind):
    async def handle(it, reader, writer):
        await read_head(reader)
        writer.write(reply("404 Not Found"))
        await writer.drain()
        await reader.read(-1)

    with pytest.raises(Permanent, match="before it has received all of it"):
        await remote_to(kind, (await rogue(handle)).url).measure_upload(16 * 1024 * 1024)
