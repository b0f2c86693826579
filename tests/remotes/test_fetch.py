"""Fetching back what was stored, from the receiver and from servers that are none."""

import base64
import hashlib
import random
from typing import Any

import pytest
from aiohttp import web

from syncd.core.errors import NotStored, Permanent, Transient, Unauthorized
from syncd.remotes.image.encodings import Decoder
from tests.remotes.helpers import TOKEN, Memory, Meter, content_of, read_request, reply, serving, upload
from tests.remotes.test_contract import CHUNK, KINDS, SIZES, noise

DATA = b"\xff\xd8" * 5000
URL = "http://host.test:4444"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(remote_to: Any, receiver: str) -> Any:
    def to_receiver(kind: str, **values: Any) -> Any:
        service, settings = KINDS[kind]
        return remote_to(service, receiver, **{"token": TOKEN, "chunk_size": CHUNK, **settings, **values})

    return to_receiver


class Received:
    """Takes a file in, up to ``most`` bytes."""

    def __init__(self, most: int = 10**9) -> None:
        self.data = bytearray()
        self.most = most
        self.longest = 0

    def __call__(self, data: bytes) -> bool:
        self.data += data
        self.longest = max(self.longest, len(data))
        return len(self.data) <= self.most


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_stored_comes_back(make, kind, size):
    remote, source, taken = make(kind), Memory(noise(size, kind)), Received()
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    assert await remote.fetch(stored.ref, key, taken) == key
    assert bytes(taken.data) == source.data


async def test_a_large_file_comes_in_pieces(make, kind):
    remote, source, taken = make(kind, chunk_size=256 * 1024), Memory(noise(12_000_000, kind)), Received()
    stored = await upload(remote, source)
    await remote.fetch(stored.ref, content_of(remote, source.data).key, taken)
    assert bytes(taken.data) == source.data
    assert taken.longest <= 512 * 1024


async def test_settings_that_changed_since_do_not_matter(make, kind):
    remote, source, taken = make(kind), Memory(noise(10_001, kind)), Received()
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    other = make(kind, **({"hash": "md5"} if KINDS[kind][0] == "multipart" else {"encoding": "base64"}))
    assert await other.fetch(stored.ref, key, taken) == key
    hasher = other.hasher_of(key, stored.ref)
    hasher.update(source.data)
    assert hasher.content().key == key


async def test_what_is_not_there(make, kind):
    remote = make(kind)
    key = content_of(remote, noise(100, kind)).key
    ref = key.partition(":")[2] or f"{key}:base64url"
    with pytest.raises(NotStored, match="the server no longer has it"):
        await remote.fetch(ref, key, Received())


async def test_the_token_is_asked_for(make, kind):
    remote, source = make(kind), Memory(noise(100, kind))
    stored = await upload(remote, source)
    with pytest.raises(Unauthorized):
        await make(kind, token="another-one").fetch(stored.ref, content_of(remote, source.data).key, Received())


async def test_more_than_is_wanted_is_not_read(make, kind):
    remote, source, taken = make(kind, chunk_size=256 * 1024), Memory(noise(12_000_000, kind)), Received(most=1000)
    key = content_of(remote, source.data).key
    stored = await upload(remote, source)
    assert await remote.fetch(stored.ref, key, taken) != key
    assert len(taken.data) < 1_000_000


@pytest.fixture
def offline(remote_to: Any) -> Any:
    def make(service: str, **values: Any) -> tuple[Any, str, str, str]:
        remote = remote_to(service, URL, **values)
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
async def test_answers_that_say_nothing_of_the_file(offline, answers, service, answer, failure, words):
    remote, ref, key, url = offline(service)
    answers("GET", url, **answer)
    with pytest.raises(failure, match=words):
        await remote.fetch(ref, key, Received())


@pytest.mark.parametrize(("service", "status"), [("image", 404), ("multipart", 404), ("multipart", 410)])
async def test_answers_that_say_that_it_is_gone(offline, answers, service, status):
    remote, ref, key, url = offline(service)
    for asked in (url, url.removesuffix("?original=true")):
        answers("GET", asked, status=status, body="<html>", content_type="text/html")
    with pytest.raises(NotStored):
        await remote.fetch(ref, key, Received())


async def test_a_file_that_is_a_page_is_a_file(remote_to, answers):
    page = b"<html>art</html>"
    remote, taken = remote_to("multipart", URL), Received()
    key = content_of(remote, page).key
    answers("GET", f"{URL}/api/files/f-1?original=true", body=page, content_type="text/html")
    assert await remote.fetch("f-1", key, taken) == key


async def test_a_picture_comes_as_it_was_sent(remote_to):
    async def give(request: web.Request) -> web.Response:
        return web.Response(body=DATA if request.query.get("original") == "true" else b"smaller")

    app = web.Application()
    app.router.add_get("/api/files/f-1", give)
    async with serving(app) as url:
        remote, taken = remote_to("multipart", url), Received()
        key = content_of(remote, DATA).key
        assert await remote.fetch("f-1", key, taken) == key
        await remote.close()


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_server_that_does_not_know_the_query(remote_to, answers, status):
    remote = remote_to("multipart", URL)
    key = content_of(remote, DATA).key
    answers("GET", f"{URL}/api/files/f-1?original=true", status=status)
    answers("GET", f"{URL}/api/files/f-1", body=DATA)
    assert await remote.fetch("f-1", key, Received()) == key


async def test_another_prefix(remote_to, answers):
    remote = remote_to("multipart", URL, prefix="/drive/files/upload")
    key = content_of(remote, DATA).key
    answers("GET", f"{URL}/drive/files/f-1?original=true", body=DATA)
    assert await remote.fetch("f-1", key, Received()) == key


async def test_a_file_that_the_server_never_named(offline):
    remote, _, key, _ = offline("multipart")
    with pytest.raises(Permanent, match="never named an id for this file"):
        await remote.fetch("", key, Received())


async def test_a_file_that_comes_back_encrypted_is_not_judged(offline, answers):
    remote, ref, key, url = offline("multipart", encrypt_password="psst")
    answers("GET", url, body=DATA[::-1])
    with pytest.raises(Permanent, match="encrypted"):
        await remote.fetch(ref, key, Received())
    answers("GET", url, body=DATA)
    assert await remote.fetch(ref, key, Received()) == key


async def test_a_redirect_to_another_host_gets_no_token(remote_to):
    seen = []

    async def give(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(body=DATA)

    async def point(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        raise web.HTTPFound(f"{elsewhere}/cdn/1?signature=2")

    cdn, drive = web.Application(), web.Application()
    cdn.router.add_get("/cdn/1", give)
    drive.router.add_get("/api/files/f-1", point)
    async with serving(cdn) as elsewhere, serving(drive) as url:
        remote = remote_to("multipart", url, token=TOKEN, headers={"X-Key": "s3cret"})
        key, taken = content_of(remote, DATA).key, Received()
        assert await remote.fetch("f-1", key, taken) == key
        await remote.close()
    assert bytes(taken.data) == DATA
    assert seen[0]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(seen[1])
    assert "s3cret" not in str(seen[1])


async def test_a_download_that_breaks_off_is_no_whole_one(remote_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        whole = reply("200 OK", DATA)
        writer.write(whole[: len(whole) - 100])
        await writer.drain()

    server = await rogue(handle)
    remote = remote_to("multipart", server.url, throttle=Meter())
    with pytest.raises(Transient, match="is incomplete"):
        await remote.fetch("f-1", content_of(remote, DATA).key, Received())


@pytest.mark.parametrize("form", ["text", "base64url", "base64"])
def test_a_text_is_decoded_however_it_is_cut(form):
    rng = random.Random(form)
    encode = {"text": bytes, "base64url": base64.urlsafe_b64encode, "base64": base64.b64encode}[form]
    for size in (0, 1, 2, 3, 4, 1000):
        data = rng.randbytes(size)
        text, decoder, decoded = encode(data), Decoder(form), b""
        while text:
            length = rng.randrange(1, 9)
            decoded += decoder.feed(text[:length])
            text = text[length:]
        assert decoded == data


@pytest.mark.parametrize("pieces", [[b"AAA=", b"AAAA"], [b"AA!A"], [b"AAA\n"], [b"A===", b"A"], [b"AAAA=AAA"]])
def test_what_is_no_base64(pieces):
    decoder = Decoder("base64")
    with pytest.raises(ValueError):  # noqa: PT012 - whichever piece shows it
        for piece in pieces:
            decoder.feed(piece)
