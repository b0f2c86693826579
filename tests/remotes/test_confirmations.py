"""Test which proof and presence each response of a server yields."""

import tracemalloc
from typing import Any

import pytest
from aiohttp import web

from syncd.core.errors import Failure, Scope, SessionLost, Transient
from syncd.core.model import Presence, Proof
from syncd.remotes.factory import make_remote
from syncd.remotes.multipart import schema
from tests.remotes.confirmations import (
    CONFIRM_CASES,
    PORTALS,
    READ_RESPONSES,
    UPLOAD_CASES,
    ConfirmCase,
    FakeServer,
    UploadCase,
    fixed_response,
    json_response,
)
from tests.remotes.helpers import (
    NOW,
    CountingThrottle,
    MemorySource,
    content_of,
    image_settings,
    multipart_settings,
    serve_app,
    upload,
)

DATA = b"ascii art " * 1000


@pytest.fixture
def make(make_client: Any) -> Any:
    def to_double(url: str, row: UploadCase | ConfirmCase) -> Any:
        direct = {"direct": "auto" if "direct" in row.answers else "never"}
        fixed = direct if row.api == "multipart" else {"encoding": "text"}
        return make_client(row.api, url, **{"chunk_size": 100_000, **fixed, **row.settings})

    return to_double


def digest_of(make: Any, row: UploadCase | ConfirmCase) -> str:
    return content_of(make("http://127.0.0.1:1", row), DATA).key.rpartition(":")[2]


@pytest.mark.parametrize("read", READ_RESPONSES, ids=str)
@pytest.mark.parametrize("row", UPLOAD_CASES, ids=str)
async def test_upload_response_proof(make, row, read):
    asked = {} if row.api == "image" else {"read": READ_RESPONSES[read]}
    server = FakeServer(DATA, digest_of(make, row), {**asked, **row.answers})
    expected: Proof | type[Failure] = row.expected
    if expected is Proof.NONE and row.has_id:
        expected = {Presence.YES: Proof.SIZE, Presence.NO: SessionLost, Presence.UNKNOWN: Proof.NONE}[read]
    async with serve_app(server.app) as url:
        remote = make(url, row)
        if isinstance(expected, Proof):
            stored = await upload(remote, MemorySource(DATA))
            assert stored.proof is expected
            assert bool(stored.ref) is (row.has_id or row.api == "image")
        else:
            with pytest.raises(expected, match=(row.message or None) if expected is row.expected else None):
                await upload(remote, MemorySource(DATA))
        await remote.close()


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("row", CONFIRM_CASES, ids=str)
async def test_confirm_response_presence(make, row, thorough):
    expected = row.expected_thorough if thorough else row.expected
    async with serve_app(FakeServer(DATA, digest_of(make, row), row.answers).app) as url:
        remote = make(url, row)
        content = content_of(remote, DATA)
        if isinstance(expected, Presence):
            found = await remote.confirm("f-1:text", content, thorough=thorough)
            assert found.presence is expected
            assert (found.reason == "") is (expected is Presence.YES)
            assert "None" not in found.reason
            if expected is Presence.YES:
                assert found.proof >= (remote.required_proof if thorough else Proof.SIZE)
        else:
            with pytest.raises(expected):
                await remote.confirm("f-1:text", content, thorough=thorough)
        await remote.close()


@pytest.mark.parametrize("api", ["image", "multipart"])
@pytest.mark.parametrize("portal", PORTALS)
async def test_check_and_upload_portal_is_remote_failure(make_client, api, portal):
    server = FakeServer(DATA, "", {"everything": fixed_response(200, *PORTALS[portal])})
    async with serve_app(server.app) as url:
        remote = make_client(api, url)
        for call in (remote.check, lambda: upload(remote, MemorySource(DATA))):
            with pytest.raises(Transient) as caught:
                await call()
            assert caught.value.scope is Scope.REMOTE
        await remote.close()


@pytest.mark.parametrize("call", ["register", "chunk"])
async def test_upload_200_is_trusted_after_one_probe(make_client, call):
    server = FakeServer(DATA, "", {call: fixed_response(200)})
    async with serve_app(server.app) as url:
        remote = make_client("image", url, chunk_size=1000, encoding="text")
        for _ in range(2):
            assert (await upload(remote, MemorySource(DATA))).proof is Proof.SIZE
        await remote.close()
    assert server.calls.count("probe") == 1


async def test_check_counts_as_probe(make_client):
    server = FakeServer(DATA, "", {"register": fixed_response(200)})
    async with serve_app(server.app) as url:
        remote = make_client("image", url, encoding="text")
        await remote.check()
        await upload(remote, MemorySource(DATA))
        await remote.close()
    assert server.calls.count("probe") == 1


@pytest.mark.parametrize("call", ["register", "chunk"])
async def test_begin_and_send_distrust_200_of_portal(make_client, call):
    """A 200 is trusted only after a probe, also in a resumed session."""
    server = FakeServer(DATA, "", {})
    async with serve_app(server.app) as url:
        remote = make_client("image", url, encoding="text")
        content = content_of(remote, DATA)
        begun = await remote.begin(content, MemorySource(DATA), None, failures=0)
        server.answers = {"everything": fixed_response(200, b"OK")}
        register = call == "register"
        with pytest.raises(Transient, match="not an image API"):
            await (
                remote.begin(content, MemorySource(DATA), None, failures=0)
                if register
                else remote.send(begun, 0, content, MemorySource(DATA))
            )
        await remote.close()


async def test_begin_repeats_failed_probe(make_client):
    server = FakeServer(DATA, "", {"register": fixed_response(200), "probe": fixed_response(500)})
    async with serve_app(server.app) as url:
        remote = make_client("image", url, encoding="text")
        content = content_of(remote, DATA)
        assert (await remote.begin(content, MemorySource(DATA), None, failures=0)).needs_verification
        server.answers = {"register": fixed_response(200)}
        assert not (await remote.begin(content, MemorySource(DATA), None, failures=0)).needs_verification
        await remote.close()


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_finish_failed_read_keeps_upload(make_client, status):
    server = FakeServer(DATA, "", {"complete": json_response({"id": "f-1"}), "read": fixed_response(status)})
    async with serve_app(server.app) as url:
        remote = make_client("multipart", url, direct="never")
        stored = await upload(remote, MemorySource(DATA))
        await remote.close()
    assert (stored.ref, stored.proof) == ("f-1", Proof.NONE)


async def test_finish_session_lost_redacts_server_message(make_client):
    for file in ({"id": "f-1", "status": "failed: psst-psst"}, {"id": "f-1", "error": "psst-psst is full"}):
        server = FakeServer(DATA, "", {"complete": json_response(file), "read": fixed_response(404)})
        async with serve_app(server.app) as url:
            remote = make_client("multipart", url, direct="never", token="psst-psst")
            with pytest.raises(SessionLost, match=r"does not: (status failed: \*\*\*|\*\*\* is full)$"):
                await upload(remote, MemorySource(DATA))
            await remote.close()


@pytest.mark.parametrize("api", ["image", "multipart"])
async def test_confirm_without_ref_is_unknown(make_client, api):
    remote = make_client(api, "http://127.0.0.1:1")
    found = await remote.confirm("", content_of(remote, DATA), thorough=True)
    assert (found.presence, found.proof) == (Presence.UNKNOWN, Proof.NONE)


async def test_confirm_unreachable_server_raises(make_client, unused_tcp_port):
    for api in ("image", "multipart"):
        remote = make_client(api, f"http://127.0.0.1:{unused_tcp_port}")
        with pytest.raises(Transient) as caught:
            await remote.confirm("f-1:text", content_of(remote, DATA))
        assert caught.value.scope is Scope.REMOTE


async def test_confirm_requests_original(make_client):
    """Without the query, some servers return a smaller version of an image."""

    async def give(request: web.Request) -> web.Response:
        return web.Response(body=DATA if request.query.get("original") == "true" else b"smaller")

    app = web.Application()
    app.router.add_get("/api/files/f-1", give)
    async with serve_app(app) as url:
        remote = make_client("multipart", url)
        assert (await remote.confirm("f-1", content_of(remote, DATA))).presence is Presence.YES
        await remote.close()


async def test_confirm_large_image_uses_little_memory(make_client):
    """The image is never in memory as a whole."""
    size, piece = 64 * 1024 * 1024, b"abcdefgh" * 8192

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        for _ in range(size // len(piece)):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/image/{key}", give)
    async with serve_app(app) as url:
        remote = make_client("image", url, encoding="text")
        hasher = remote.hasher()
        for _ in range(size // len(piece)):
            hasher.update(piece)
        tracemalloc.start()
        try:
            found = await remote.confirm("x:text", hasher.content(), thorough=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await remote.close()
    assert found.proof is Proof.BYTES
    assert peak < size / 8


@pytest.mark.parametrize(
    ("size", "expected"),
    [(schema.MAX_FULL_MD5_BYTES, SessionLost), (schema.MAX_FULL_MD5_BYTES + 1, Proof.SIZE)],
    ids=["5 MiB", "more"],
)
async def test_finish_other_md5_of_large_file_is_inconclusive(make_client, size, expected):
    """Some servers hash only the first and the last MiB."""
    data = bytes(size)
    server = FakeServer(data, "", {"complete": json_response({"id": "f-1", "hash": "0" * 32, "size": "SIZE"})})
    async with serve_app(server.app) as url:
        remote = make_client("multipart", url, hash="md5", direct="never", chunk_size=size)
        if isinstance(expected, Proof):
            assert (await upload(remote, MemorySource(data))).proof is expected
        else:
            with pytest.raises(expected, match="another hash"):
                await upload(remote, MemorySource(data))
        await remote.close()


@pytest.mark.parametrize(("values", "proof"), [({}, Proof.SIZE), ({"hash": "md5"}, Proof.BYTES)])
def test_required_proof_by_api_and_hash(values, proof):
    assert made(multipart_settings("http://host.test", **values)).required_proof is proof
    assert made(image_settings("http://host.test")).required_proof is Proof.BYTES


def made(settings: Any) -> Any:
    return make_remote("drive", settings, throttle=CountingThrottle(), clock=lambda: NOW, user_agent="syncd/test")


async def test_finish_failed_read_is_reported(make):
    """The breaker must learn of the failure, although the upload succeeded."""
    row = next(row for row in UPLOAD_CASES if str(row) == "multipart complete: id alone")
    answers = {**row.answers, "read": fixed_response(503, headers={"Retry-After": "7"})}
    async with serve_app(FakeServer(DATA, digest_of(make, row), answers).app) as url:
        remote = make(url, row)
        stored = await upload(remote, MemorySource(DATA))
        await remote.close()
    assert stored.proof is Proof.NONE
    assert isinstance(stored.trouble, Transient)
    assert (stored.trouble.scope, stored.trouble.retry_after) == (Scope.REMOTE, 7)
