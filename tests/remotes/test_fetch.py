"""Test downloads of stored files, from the receiver and with mocked responses."""

import base64
import hashlib
import random
from typing import Any

import pytest
from aiohttp import web

from syncd.core.errors import NotStored, Permanent, Transient, Unauthorized
from syncd.remotes.image.encodings import Decoder
from tests.remotes.helpers import (
    TOKEN,
    CountingThrottle,
    MemorySource,
    content_of,
    read_request,
    reply,
    serve_app,
    upload,
)
from tests.remotes.test_contract import CHUNK, KINDS, SIZES, file_data

DATA = b"\xff\xd8" * 5000
URL = "http://host.test:4444"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(make_client: Any, receiver: str) -> Any:
    def to_receiver(kind: str, **values: Any) -> Any:
        service, settings = KINDS[kind]
        return make_client(service, receiver, **{"token": TOKEN, "chunk_size": CHUNK, **settings, **values})

    return to_receiver


class ReceivedFile:
    """Receives a file, up to ``limit`` bytes."""

    def __init__(self, limit: int = 10**9) -> None:
        self.data = bytearray()
        self.limit = limit
        self.longest = 0

    def __call__(self, data: bytes) -> bool:
        self.data += data
        self.longest = max(self.longest, len(data))
        return len(self.data) <= self.limit


@pytest.mark.parametrize("size", SIZES)
async def test_fetch_returns_uploaded_bytes(make, kind, size):
    remote, source, taken = make(kind), MemorySource(file_data(size, kind)), ReceivedFile()
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    assert await remote.fetch(stored.ref, key, taken) == key
    assert bytes(taken.data) == source.data


async def test_fetch_large_file_arrives_in_pieces(make, kind):
    remote, source, taken = make(kind, chunk_size=256 * 1024), MemorySource(file_data(12_000_000, kind)), ReceivedFile()
    stored = await upload(remote, source)
    await remote.fetch(stored.ref, content_of(remote, source.data).key, taken)
    assert bytes(taken.data) == source.data
    assert taken.longest <= 1024 * 1024  # aiohttp buffers up to three reads of 256 KiB


async def test_fetch_after_changed_settings_yields_same_key(make, kind):
    remote, source, taken = make(kind), MemorySource(file_data(10_001, kind)), ReceivedFile()
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    other = make(kind, **({"hash": "md5"} if KINDS[kind][0] == "multipart" else {"encoding": "base64"}))
    assert await other.fetch(stored.ref, key, taken) == key
    hasher = other.hasher_of(key, stored.ref)
    hasher.update(source.data)
    assert hasher.content().key == key


async def test_fetch_unknown_file_raises_not_stored(make, kind):
    remote = make(kind)
    key = content_of(remote, file_data(100, kind)).key
    ref = key.partition(":")[2] or f"{key}:base64url"
    with pytest.raises(NotStored, match="the server no longer has it"):
        await remote.fetch(ref, key, ReceivedFile())


async def test_fetch_wrong_token_is_unauthorized(make, kind):
    remote, source = make(kind), MemorySource(file_data(100, kind))
    stored = await upload(remote, source)
    with pytest.raises(Unauthorized):
        await make(kind, token="another-one").fetch(stored.ref, content_of(remote, source.data).key, ReceivedFile())


async def test_fetch_ends_when_write_returns_false(make, kind):
    remote, source, taken = (
        make(kind, chunk_size=256 * 1024),
        MemorySource(file_data(12_000_000, kind)),
        ReceivedFile(limit=1000),
    )
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    assert await remote.fetch(stored.ref, key, taken) != key
    assert len(taken.data) < 1_000_000


@pytest.fixture
def offline(make_client: Any) -> Any:
    def make(service: str, **values: Any) -> tuple[Any, str, str, str]:
        remote = make_client(service, URL, **values)
        key = content_of(remote, DATA).key
        digest = hashlib.sha256(DATA).hexdigest()
        ref = "f-1/ä" if service == "multipart" else f"{key}:base64url"
        path = "/api/files/f-1%2F%C3%A4" if service == "multipart" else f"/image/{key}"
        assert service == "image" or key == f"sha256:{digest}"
        return remote, ref, key, f"{URL}{path}" + ("?original=true" if service == "multipart" else "")

    return make


@pytest.mark.parametrize("service", ["image", "multipart"])
@pytest.mark.parametrize(
    ("answer", "failure", "words"),
    [
        ({"body": "<html><title>Log in</title>", "content_type": "text/html"}, Transient, "not understood"),
        ({"status": 403, "payload": {"message": "not yours"}}, Permanent, "not yours"),
        ({"status": 503}, Transient, "503"),
        ({"status": 204}, Transient, "not understood"),
    ],
)
async def test_fetch_inconclusive_response_raises(offline, mock_response, service, answer, failure, words):
    remote, ref, key, url = offline(service)
    mock_response("GET", url, **answer)
    with pytest.raises(failure, match=words):
        await remote.fetch(ref, key, ReceivedFile())


@pytest.mark.parametrize(("service", "status"), [("image", 404), ("multipart", 404), ("multipart", 410)])
async def test_fetch_404_or_410_raises_not_stored(offline, mock_response, service, status):
    remote, ref, key, url = offline(service)
    for asked in (url, url.removesuffix("?original=true")):
        mock_response("GET", asked, status=status, body="<html>", content_type="text/html")
    with pytest.raises(NotStored):
        await remote.fetch(ref, key, ReceivedFile())


async def test_fetch_html_file_returns_key(make_client, mock_response):
    page = b"<html>art</html>"
    remote, taken = make_client("multipart", URL), ReceivedFile()
    key = content_of(remote, page).key
    mock_response("GET", f"{URL}/api/files/f-1?original=true", body=page, content_type="text/html")
    assert await remote.fetch("f-1", key, taken) == key


async def test_fetch_requests_original(make_client):
    async def give(request: web.Request) -> web.Response:
        return web.Response(body=DATA if request.query.get("original") == "true" else b"smaller")

    app = web.Application()
    app.router.add_get("/api/files/f-1", give)
    async with serve_app(app) as url:
        remote, taken = make_client("multipart", url), ReceivedFile()
        key = content_of(remote, DATA).key
        assert await remote.fetch("f-1", key, taken) == key
        await remote.close()


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_fetch_without_query_support_retries_without_it(make_client, mock_response, status):
    remote = make_client("multipart", URL)
    key = content_of(remote, DATA).key
    mock_response("GET", f"{URL}/api/files/f-1?original=true", status=status)
    mock_response("GET", f"{URL}/api/files/f-1", body=DATA)
    assert await remote.fetch("f-1", key, ReceivedFile()) == key


async def test_fetch_uses_configured_prefix(make_client, mock_response):
    remote = make_client("multipart", URL, prefix="/drive/files/upload")
    key = content_of(remote, DATA).key
    mock_response("GET", f"{URL}/drive/files/f-1?original=true", body=DATA)
    assert await remote.fetch("f-1", key, ReceivedFile()) == key


async def test_fetch_without_ref_is_permanent_failure(offline):
    remote, _, key, _ = offline("multipart")
    with pytest.raises(Permanent, match="never named an id for this file"):
        await remote.fetch("", key, ReceivedFile())


async def test_fetch_encrypted_file_is_permanent_failure(offline, mock_response):
    remote, ref, key, url = offline("multipart", encrypt_password="psst")
    mock_response("GET", url, body=DATA[::-1])
    with pytest.raises(Permanent, match="encrypted"):
        await remote.fetch(ref, key, ReceivedFile())
    mock_response("GET", url, body=DATA)
    assert await remote.fetch(ref, key, ReceivedFile()) == key


async def test_fetch_redirect_to_other_host_sends_no_secret(make_client):
    seen = []

    async def give(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(body=DATA)

    async def point(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        raise web.HTTPFound(f"{other_url}/cdn/1?signature=2")

    cdn, drive = web.Application(), web.Application()
    cdn.router.add_get("/cdn/1", give)
    drive.router.add_get("/api/files/f-1", point)
    async with serve_app(cdn) as other_url, serve_app(drive) as url:
        remote = make_client("multipart", url, token=TOKEN, headers={"X-Key": "s3cret"})
        key, taken = content_of(remote, DATA).key, ReceivedFile()
        assert await remote.fetch("f-1", key, taken) == key
        await remote.close()
    assert bytes(taken.data) == DATA
    assert seen[0]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(seen[1])
    assert "s3cret" not in str(seen[1])


async def test_fetch_truncated_download_is_transient(make_client, start_server):
    async def handle(server, reader, writer):
        await read_request(reader)
        complete = reply("200 OK", DATA)
        writer.write(complete[: len(complete) - 100])
        await writer.drain()

    server = await start_server(handle)
    remote = make_client("multipart", server.url, throttle=CountingThrottle())
    with pytest.raises(Transient, match="is incomplete"):
        await remote.fetch("f-1", content_of(remote, DATA).key, ReceivedFile())


@pytest.mark.parametrize("encoding", ["text", "base64url", "base64"])
def test_decoder_accepts_pieces_of_any_length(encoding):
    rng = random.Random(encoding)
    encode = {"text": bytes, "base64url": base64.urlsafe_b64encode, "base64": base64.b64encode}[encoding]
    for size in (0, 1, 2, 3, 4, 1000):
        data = rng.randbytes(size)
        text, decoder, decoded = encode(data), Decoder(encoding), b""
        while text:
            length = rng.randrange(1, 9)
            decoded += decoder.feed(text[:length])
            text = text[length:]
        assert decoded == data


@pytest.mark.parametrize("pieces", [[b"AAA=", b"AAAA"], [b"AA!A"], [b"AAA\n"], [b"A===", b"A"], [b"AAAA=AAA"]])
def test_decoder_malformed_base64_raises(pieces):
    decoder = Decoder("base64")
    with pytest.raises(ValueError):  # noqa: PT012 - whichever piece shows it
        for piece in pieces:
            decoder.feed(piece)
