"""Test the contract of :class:`syncd.remotes.base.Remote` with the receiver."""

import base64
import random
from typing import Any

import aiohttp
import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure, FileChanged, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Presence, Proof, Session, Stored
from tests.remotes.helpers import (
    TOKEN,
    CountingThrottle,
    MemorySource,
    ascii_text,
    binary_data,
    content_of,
    read_head,
    read_request,
    reply,
    upload,
)

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
"""The proof if the receiver has the content already."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(make_client: Any, receiver: str) -> Any:
    def to_receiver(kind: str, **values: Any) -> Any:
        service, settings = KINDS[kind]
        return make_client(service, receiver, **{"token": TOKEN, "chunk_size": CHUNK, **settings, **values})

    return to_receiver


def file_data(size: int, kind: str) -> bytes:
    return ascii_text(size) if kind == "text" else binary_data(size)


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
async def test_upload_chunks_in_any_order_stores_file(make, receiver, kind, size):
    remote, source = make(kind), MemorySource(file_data(size, kind))
    stored = await upload(remote, source, order=lambda indices: random.Random(size).sample(indices, len(indices)))
    assert not stored.already
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "direct"])
async def test_begin_stored_content_sends_no_chunk(make, kind):
    remote, source = make(kind), MemorySource(file_data(10_000, kind))
    first = await upload(remote, source)
    again = await remote.begin(
        content_of(remote, source.data), MemorySource(source.data, name="b.png"), None, failures=0
    )
    assert again == Stored(ref=first.ref, already=True, proof=ALREADY[kind])


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_begin_resumed_session_sends_missing_chunks_only(make, receiver, kind):
    first, source, throttle = make(kind), MemorySource(file_data(5 * CHUNK, kind)), CountingThrottle()
    content = content_of(first, source.data)
    begun = await first.begin(content, source, None, failures=0)
    for index in (0, 2, 3):
        await first.send(begun, index, content, source)
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet([0, 2, 3])
    )
    second = make(kind, throttle=throttle)
    resumed = await second.begin(content, source, remembered, failures=1)
    assert list(resumed.received) == [0, 2, 3]
    stored = await upload(second, source, remembered, failures=1)
    assert await fetched(receiver, stored) == source.data
    assert sum(throttle.spent) < (begun.count - 3) * (begun.chunk_size + 512) + 512


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_send_repeated_chunk_is_harmless(make, receiver, kind):
    remote, source = make(kind), MemorySource(file_data(3 * CHUNK, kind))
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 1, content, source)
    stored = await upload(remote, source, begun)
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", ["text", "base64url", "multipart"])
async def test_send_unknown_session_is_lost(make, kind):
    remote, source = make(kind), MemorySource(file_data(CHUNK, kind))
    content = content_of(remote, source.data)
    unknown = "1" * (64 if kind != "multipart" else 32)
    session = Session(token=unknown, chunk_size=CHUNK, count=-(-content.size // CHUNK))
    taken_up = await remote.begin(content, source, session, failures=1)
    with pytest.raises(SessionLost, match="404"):
        await remote.send(taken_up, 0, content, source)


async def test_send_changed_file_raises_file_changed(make, kind):
    remote, source = make(kind), MemorySource(file_data(200_000, kind))
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    source.failure = FileChanged("it changed")
    with pytest.raises(FileChanged, match="it changed"):
        await remote.send(begun, 0, content, source)


async def test_upload_passes_all_bytes_through_throttle(make, kind):
    throttle = CountingThrottle()
    remote, source = make(kind, throttle=throttle), MemorySource(file_data(300_000, kind))
    await upload(remote, source)
    assert sum(throttle.spent) >= source.size
    assert max(throttle.spent) <= 64 * 1024


async def test_confirm_stored_yes_other_no(make, kind):
    remote, source = make(kind), MemorySource(file_data(200_000, kind))
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    found = await remote.confirm(stored.ref, content)
    assert (found.presence, found.proof) == (Presence.YES, Proof.SIZE)
    found = await remote.confirm(stored.ref, content, thorough=True)
    assert found.presence is Presence.YES
    assert found.proof >= remote.required_proof
    other = content_of(remote, file_data(1000, kind))
    ref = other.key.rpartition(":")[2] if KINDS[kind][0] == "multipart" else f"{other.key}:{other.encoding}"
    for thorough in (False, True):
        assert (await remote.confirm(ref, other, thorough=thorough)).presence is Presence.NO


async def test_check_wrong_token_is_unauthorized(make, kind):
    await make(kind).check()
    for token in (None, "another-one"):
        with pytest.raises(Unauthorized, match="401") as caught:
            await make(kind, token=token).check()
        assert "another-one" not in str(caught.value)


async def test_upload_unreachable_server_has_remote_scope(make_client, kind, unused_tcp_port):
    service, values = KINDS[kind]
    remote = make_client(service, f"http://127.0.0.1:{unused_tcp_port}", **values)
    with pytest.raises(Transient, match="refused") as caught:
        await upload(remote, MemorySource(file_data(100, kind)))
    assert caught.value.scope == "remote"


async def test_identity_and_capabilities_contain_no_secret(make, kind):
    remote = make(kind, headers={"X-Key": "another-secret"})
    assert TOKEN not in remote.identity
    assert "another-secret" not in remote.identity
    assert remote.capabilities == {}


async def test_upload_keeps_unusual_file_names(make, receiver):
    for name in ("a b.jpg", "عکس.jpg", "🦊.png", 'quo"te.jpg', "line\nbreak.jpg", "back\\slash.png"):
        remote = make("direct")
        source = MemorySource(b"\xff" + name.encode(), name=name)
        stored = await upload(remote, source)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{receiver}/api/files/{stored.ref}", headers=headers) as answer,
        ):
            assert answer.content_disposition.filename == name


@pytest.mark.parametrize("kind", ["text", "image", "multipart"])
@pytest.mark.parametrize("start", [b"<html>", b"<!-- by hand --><svg>", b"<p>"])
async def test_fetch_html_like_file_returns_it(make, kind, start):
    remote, source = make(kind), MemorySource(start + b"art" * CHUNK, name="a.svg", media_type="image/svg+xml")
    stored = await upload(remote, source)
    assert (await upload(remote, source)).already
    taken = bytearray()

    def take(piece: bytes) -> bool:
        taken.extend(piece)
        return True

    key = content_of(remote, source.data).key
    assert await remote.fetch(stored.ref, key, take) == key
    assert taken == source.data


async def test_upload_text_of_all_ascii_characters(make, receiver):
    source = MemorySource(bytes(range(128)) * 40)
    stored = await upload(make("text"), source)
    assert await fetched(receiver, stored) == source.data


@pytest.mark.parametrize("kind", ["image", "multipart"])
async def test_measure_upload_stores_nothing(make, tmp_path, kind):
    def everything():
        return {path: path.stat().st_size for path in (tmp_path / "received").rglob("*")}

    throttle = CountingThrottle()
    remote = make(kind, throttle=throttle)
    before = everything()
    await remote.measure_upload(100_000)
    assert sum(throttle.spent) > 100_000
    assert everything() == before
    assert not remote.capabilities
    with pytest.raises(Permanent, match="set chunk_size to less"):
        await remote.measure_upload(8 * 1024 * 1024)


@pytest.mark.parametrize("kind", ["image", "multipart"])
@pytest.mark.parametrize(
    ("response", "message"),
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
async def test_measure_upload_unexpected_response_raises(make_client, start_server, kind, response, message):
    async def handle(server, reader, writer):
        await read_request(reader)
        writer.write(response)

    with pytest.raises(Failure, match=message):
        await make_client(kind, (await start_server(handle)).url).measure_upload(1000)


@pytest.mark.parametrize("kind", ["image", "multipart"])
async def test_measure_upload_early_rejection_raises(make_client, start_server, kind):
    async def handle(server, reader, writer):
        await read_head(reader)
        writer.write(reply("404 Not Found"))
        await writer.drain()
        await reader.read(-1)

    with pytest.raises(Permanent, match="before it has received all of it"):
        await make_client(kind, (await start_server(handle)).url).measure_upload(16 * 1024 * 1024)
