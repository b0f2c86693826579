"""What each answer of a server proves, for uploads and for the question whether a file is still there."""

import tracemalloc
from typing import Any

import pytest
from aiohttp import web

from syncd.core.errors import Failure, Scope, SessionLost, Transient
from syncd.core.model import Presence, Proof
from syncd.remotes.factory import make_remote
from syncd.remotes.multipart import schema
from tests.remotes.confirmations import PORTALS, QUESTIONS, READS, UPLOADS, Double, Question, Upload, given, told
from tests.remotes.helpers import (
    NOW,
    Memory,
    Meter,
    content_of,
    image_settings,
    multipart_settings,
    serving,
    upload,
)

DATA = b"ascii art " * 1000


@pytest.fixture
def make(remote_to: Any) -> Any:
    def to_double(url: str, row: Upload | Question) -> Any:
        direct = {"direct": "auto" if "direct" in row.answers else "never"}
        fixed = direct if row.api == "multipart" else {"encoding": "text"}
        return remote_to(row.api, url, **{"chunk_size": 100_000, **fixed, **row.settings})

    return to_double


def digest_of(make: Any, row: Upload | Question) -> str:
    return content_of(make("http://127.0.0.1:1", row), DATA).key.rpartition(":")[2]


@pytest.mark.parametrize("read", READS, ids=str)
@pytest.mark.parametrize("row", UPLOADS, ids=str)
async def test_what_an_upload_proves(make, row, read):
    asked = {} if row.api == "image" else {"read": READS[read]}
    server = Double(DATA, digest_of(make, row), {**asked, **row.answers})
    worth: Proof | type[Failure] = row.worth
    if worth is Proof.NONE and row.named:
        worth = {Presence.YES: Proof.SIZE, Presence.NO: SessionLost, Presence.UNKNOWN: Proof.NONE}[read]
    async with serving(server.app) as url:
        remote = make(url, row)
        if isinstance(worth, Proof):
            stored = await upload(remote, Memory(DATA))
            assert stored.proof is worth
            assert bool(stored.ref) is (row.named or row.api == "image")
        else:
            with pytest.raises(worth, match=(row.words or None) if worth is row.worth else None):
                await upload(remote, Memory(DATA))
        await remote.close()


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("row", QUESTIONS, ids=str)
async def test_whether_it_is_still_there(make, row, thorough):
    means = row.thorough if thorough else row.means
    async with serving(Double(DATA, digest_of(make, row), row.answers).app) as url:
        remote = make(url, row)
        content = content_of(remote, DATA)
        if isinstance(means, Presence):
            found = await remote.confirm("f-1:text", content, thorough=thorough)
            assert found.presence is means
            assert (found.reason == "") is (means is Presence.YES)
            assert "None" not in found.reason
            if means is Presence.YES:
                assert found.proof >= (remote.required_proof if thorough else Proof.SIZE)
        else:
            with pytest.raises(means):
                await remote.confirm("f-1:text", content, thorough=thorough)
        await remote.close()


@pytest.mark.parametrize("api", ["image", "multipart"])
@pytest.mark.parametrize("portal", PORTALS)
async def test_who_says_yes_to_everything_is_away_as_a_whole(remote_to, api, portal):
    server = Double(DATA, "", {"everything": given(200, *PORTALS[portal])})
    async with serving(server.app) as url:
        remote = remote_to(api, url)
        for call in (remote.check, lambda: upload(remote, Memory(DATA))):
            with pytest.raises(Transient) as caught:
                await call()
            assert caught.value.scope is Scope.REMOTE
        await remote.close()


@pytest.mark.parametrize("call", ["register", "chunk"])
async def test_a_200_is_trusted_after_one_probe(remote_to, call):
    server = Double(DATA, "", {call: given(200)})
    async with serving(server.app) as url:
        remote = remote_to("image", url, chunk_size=1000, encoding="text")
        for _ in range(2):
            assert (await upload(remote, Memory(DATA))).proof is Proof.SIZE
        await remote.close()
    assert server.calls.count("probe") == 1


async def test_a_check_is_a_probe_too(remote_to):
    server = Double(DATA, "", {"register": given(200)})
    async with serving(server.app) as url:
        remote = remote_to("image", url, encoding="text")
        await remote.check()
        await upload(remote, Memory(DATA))
        await remote.close()
    assert server.calls.count("probe") == 1


@pytest.mark.parametrize("call", ["register", "chunk"])
async def test_a_portal_that_an_upload_runs_into(remote_to, call):
    """Whether the session was remembered or not, its 200 is not trusted before the probe."""
    server = Double(DATA, "", {})
    async with serving(server.app) as url:
        remote = remote_to("image", url, encoding="text")
        content = content_of(remote, DATA)
        begun = await remote.begin(content, Memory(DATA), None, failures=0)
        server.answers = {"everything": given(200, b"OK")}
        register = call == "register"
        with pytest.raises(Transient, match="not an image API"):
            await (
                remote.begin(content, Memory(DATA), None, failures=0)
                if register
                else remote.send(begun, 0, content, Memory(DATA))
            )
        await remote.close()


async def test_a_server_that_could_not_answer_the_probe_is_asked_again(remote_to):
    server = Double(DATA, "", {"register": given(200), "probe": given(500)})
    async with serving(server.app) as url:
        remote = remote_to("image", url, encoding="text")
        content = content_of(remote, DATA)
        assert (await remote.begin(content, Memory(DATA), None, failures=0)).needs_verification
        server.answers = {"register": given(200)}
        assert not (await remote.begin(content, Memory(DATA), None, failures=0)).needs_verification
        await remote.close()


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_question_that_fails_costs_no_upload(remote_to, status):
    server = Double(DATA, "", {"complete": told({"id": "f-1"}), "read": given(status)})
    async with serving(server.app) as url:
        remote = remote_to("multipart", url, direct="never")
        stored = await upload(remote, Memory(DATA))
        await remote.close()
    assert (stored.ref, stored.proof) == ("f-1", Proof.NONE)


async def test_a_loss_is_told_in_the_servers_words_without_a_secret(remote_to):
    for file in ({"id": "f-1", "status": "failed: psst-psst"}, {"id": "f-1", "error": "psst-psst is full"}):
        server = Double(DATA, "", {"complete": told(file), "read": given(404)})
        async with serving(server.app) as url:
            remote = remote_to("multipart", url, direct="never", token="psst-psst")
            with pytest.raises(SessionLost, match=r"does not: (status failed: \*\*\*|\*\*\* is full)$"):
                await upload(remote, Memory(DATA))
            await remote.close()


@pytest.mark.parametrize("api", ["image", "multipart"])
async def test_without_a_reference_nothing_is_asked(remote_to, api):
    remote = remote_to(api, "http://127.0.0.1:1")
    found = await remote.confirm("", content_of(remote, DATA), thorough=True)
    assert (found.presence, found.proof) == (Presence.UNKNOWN, Proof.NONE)


async def test_no_server_is_no_answer(remote_to, unused_tcp_port):
    for api in ("image", "multipart"):
        remote = remote_to(api, f"http://127.0.0.1:{unused_tcp_port}")
        with pytest.raises(Transient) as caught:
            await remote.confirm("f-1:text", content_of(remote, DATA))
        assert caught.value.scope is Scope.REMOTE


async def test_a_picture_is_asked_for_as_it_was_sent(remote_to):
    """Without that some servers give a smaller one made from it."""

    async def give(request: web.Request) -> web.Response:
        return web.Response(body=DATA if request.query.get("original") == "true" else b"smaller")

    app = web.Application()
    app.router.add_get("/api/files/f-1", give)
    async with serving(app) as url:
        remote = remote_to("multipart", url)
        assert (await remote.confirm("f-1", content_of(remote, DATA))).presence is Presence.YES
        await remote.close()


async def test_a_large_image_is_compared_in_pieces(remote_to):
    """The whole of it never is in memory."""
    size, piece = 64 * 1024 * 1024, b"abcdefgh" * 8192

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        for _ in range(size // len(piece)):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/image/{key}", give)
    async with serving(app) as url:
        remote = remote_to("image", url, encoding="text")
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
    ("size", "worth"),
    [(schema.MAX_FULL_MD5_BYTES, SessionLost), (schema.MAX_FULL_MD5_BYTES + 1, Proof.SIZE)],
    ids=["5 MiB", "more"],
)
async def test_another_md5_of_a_large_file_may_be_that_of_a_part(remote_to, size, worth):
    """Some servers take that of the first and the last MiB."""
    data = bytes(size)
    server = Double(data, "", {"complete": told({"id": "f-1", "hash": "0" * 32, "size": "SIZE"})})
    async with serving(server.app) as url:
        remote = remote_to("multipart", url, hash="md5", direct="never", chunk_size=size)
        if isinstance(worth, Proof):
            assert (await upload(remote, Memory(data))).proof is worth
        else:
            with pytest.raises(worth, match="another hash"):
                await upload(remote, Memory(data))
        await remote.close()


@pytest.mark.parametrize(("values", "proof"), [({}, Proof.SIZE), ({"hash": "md5"}, Proof.BYTES)])
def test_what_has_to_be_proven(values, proof):
    assert made(multipart_settings("http://host.test", **values)).required_proof is proof
    assert made(image_settings("http://host.test")).required_proof is Proof.BYTES


def made(settings: Any) -> Any:
    return make_remote("drive", settings, throttle=Meter(), clock=lambda: NOW, user_agent="syncd/test")


async def test_a_server_that_can_not_be_asked_for_the_file_is_told_of(make):
    """Its breaker has to learn of it, though the upload itself went well."""
    row = next(row for row in UPLOADS if str(row) == "multipart complete: id alone")
    answers = {**row.answers, "read": given(503, headers={"Retry-After": "7"})}
    async with serving(Double(DATA, digest_of(make, row), answers).app) as url:
        remote = make(url, row)
        stored = await upload(remote, Memory(DATA))
        await remote.close()
    assert stored.proof is Proof.NONE
    assert isinstance(stored.trouble, Transient)
    assert (stored.trouble.scope, stored.trouble.retry_after) == (Scope.REMOTE, 7)
