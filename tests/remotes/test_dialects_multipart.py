"""Test the multipart client with each simulated server: the contract, and special cases."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import CutOff, Failure, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Pending, Presence, Proof, Session, Stored
from syncd.remotes import chunk_sizes, http
from tests.remotes.dialects_multipart import DIALECTS, MIB, Documented, Drive
from tests.remotes.helpers import TOKEN, CountingThrottle, MemorySource, binary_data, content_of, serve_app, upload

CHUNK = 4096
SIZES = [1, CHUNK, CHUNK + 1, 50_000]
MORE_POOL = "00000000-0000-0000-0000-000000000002"


@pytest.fixture(params=DIALECTS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Documented, str]]:
    dialect = DIALECTS[request.param]()
    async with serve_app(dialect.app) as url:
        yield dialect, url


def only_dialects(*names: str) -> Any:
    return pytest.mark.parametrize("server", names, indirect=True)


@pytest.fixture(params=["sha256", "md5"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(make_client: Any, server: tuple[Documented, str], algorithm: str) -> Any:
    def to_server(**values: Any) -> Any:
        fixed = {"token": TOKEN, "chunk_size": CHUNK, "hash": algorithm, "direct": "never"}
        return make_client("multipart", server[1], **{**fixed, **values})

    return to_server


def picture_source(size: int) -> MemorySource:
    return MemorySource(binary_data(size))


async def fetch(remote: Any, stored: Stored, source: MemorySource) -> bytes:
    """Download a file, and check that its key is that of the upload."""
    pieces: list[bytes] = []
    key = content_of(remote, source.data).key
    assert await remote.fetch(stored.ref, key, lambda data: pieces.append(data) or True) == key
    return b"".join(pieces)


# The contract.


@pytest.mark.parametrize("size", SIZES)
async def test_upload_chunks_in_any_order_stores_file(make, server, size):
    remote, source = make(), picture_source(size)
    stored = await upload(remote, source, order=lambda indices: random.Random(size).sample(indices, len(indices)))
    assert not stored.already
    assert stored.proof >= Proof.SIZE
    assert server[0].files[stored.ref].data == source.data


async def test_fetch_returns_uploaded_bytes(make):
    remote, source = make(), picture_source(20_000)
    assert await fetch(remote, await upload(remote, source), source) == source.data


@pytest.mark.parametrize("direct", ["auto", "never"])
async def test_upload_stores_file_once(make, server, direct):
    remote = make(direct=direct)
    source = picture_source(20_000)
    failures = 0
    while True:  # as the worker does: a single request first, then chunks if the server does not support it
        try:
            await upload(remote, source, failures=failures)
            break
        except SessionLost:
            failures += 1
            assert failures < 3
    assert len(server[0].files) == 1


async def test_begin_resumed_session_sends_missing_chunks_only(make, server):
    first, source, throttle = make(), picture_source(5 * CHUNK), CountingThrottle()
    content = content_of(first, source.data)
    begun = await first.begin(content, source, None, failures=0)
    for index in (0, 2, 3):
        await first.send(begun, index, content, source)
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet([0, 2, 3])
    )
    stored = await upload(make(throttle=throttle), source, remembered, failures=1)
    assert server[0].files[stored.ref].data == source.data
    assert sum(throttle.spent) < 2 * (CHUNK + 512) + 512


async def test_send_repeated_chunk_is_harmless(make, server):
    remote, source = make(), picture_source(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 1, content, source)
    stored = await upload(remote, source, begun)
    assert server[0].files[stored.ref].data == source.data


async def test_begin_unknown_task_is_lost(make):
    remote, source = make(), picture_source(CHUNK)
    with pytest.raises(SessionLost):
        await upload(remote, source, Session(token="t-99", chunk_size=CHUNK, count=1), failures=1)


async def test_finish_incomplete_task_is_lost(make, server):
    remote, source = make(), picture_source(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    with pytest.raises(SessionLost):
        await remote.finish(begun, content, source)
    stored = await upload(remote, source)
    assert server[0].files[stored.ref].data == source.data


async def test_finish_repeated_stores_file_once(make, server):
    remote, source = make(), picture_source(CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 0, content, source)
    await remote.finish(begun, content, source)
    with pytest.raises(SessionLost):
        await remote.finish(begun, content, source)
    assert len(server[0].files) == 1


async def test_confirm_stored_yes_other_no(make):
    remote, source = make(), picture_source(20_000)
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    assert (await remote.confirm(stored.ref, content)).presence is Presence.YES
    thorough = await remote.confirm(stored.ref, content, thorough=True)
    assert thorough.presence is Presence.YES
    assert thorough.proof >= remote.required_proof
    assert (await remote.confirm("f-99", content, thorough=True)).presence is Presence.NO


async def test_check_wrong_token_is_unauthorized(make, server):
    await make().check()
    for token in (None, "another-one"):
        with pytest.raises(Unauthorized, match="401"):
            await make(token=token).check()


async def test_upload_file_over_5_mib_stores_file(make, server):
    remote, source = make(chunk_size=4 * MIB), picture_source(9 * MIB)
    stored = await upload(remote, source)
    assert stored.proof >= Proof.SIZE
    assert len(server[0].files) == 1
    assert await fetch(remote, stored, source) == source.data


# What single servers need.


@only_dialects("Drive", "Drive, spring 2026")
async def test_fetch_and_confirm_ignore_derivative_while_processing(make, server):
    """The request without ``original`` would return a derivative."""
    remote, source = make(), picture_source(20_000)
    stored = await upload(remote, source)
    dialect = server[0]
    dialect.processing = 1
    with pytest.raises(Failure, match="being processed"):
        await fetch(remote, stored, source)
    dialect.processing = 1
    content = content_of(remote, source.data)
    assert (await remote.confirm(stored.ref, content, thorough=True)).presence is Presence.UNKNOWN
    assert await fetch(remote, stored, source) == source.data


@only_dialects("documented")
@pytest.mark.parametrize("status", [400, 404, 405, 422, 500, 501])
async def test_fetch_and_confirm_without_query_support(make, server, status):
    server[0].status_of_query = status
    remote, source = make(), picture_source(20_000)
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    assert await fetch(remote, stored, source) == source.data
    for thorough in (False, True):
        assert (await remote.confirm(stored.ref, content, thorough=thorough)).presence is Presence.YES


@only_dialects("Drive", "DysonFS", "documented")
@pytest.mark.parametrize("call", ["complete", "direct", "create"])
async def test_upload_ignored_password_is_permanent_failure(make, server, call):
    """The server has stored the file unencrypted, readable for others."""
    source = picture_source(20_000)
    if call == "create":
        await upload(make(), source)
    with pytest.raises(Permanent, match="ignored encrypt_password"):
        await upload(make(encrypt_password="psst", direct="auto" if call == "direct" else "never"), source)


@only_dialects("documented")
async def test_upload_encrypting_server_accepts_password(make, server):
    """The server may return the hash of the encrypted or of the original data."""
    dialect = server[0]
    store = dialect.store

    def encrypt(data, order):
        return store(bytes(byte ^ 0x55 for byte in data), order)

    dialect.store = encrypt
    remote = make(encrypt_password="psst")
    stored = await upload(remote, picture_source(20_000))
    assert stored.ref in dialect.files


@only_dialects("Drive", "Drive, spring 2026", "DysonFS")
async def test_upload_small_file_keeps_pool_bundle_and_expiry(make, server):
    """In a single request, these servers would ignore the options."""
    remote = make(direct="auto", pool_id=MORE_POOL, bundle_id=MORE_POOL, expired_at="2030-01-31T12:00:00Z")
    stored = await upload(remote, picture_source(20_000))
    file = server[0].files[stored.ref]
    assert (file.pool, file.bundle, file.expires) == (MORE_POOL, MORE_POOL, "2030-01-31T12:00:00Z")


@only_dialects("Drive", "DysonFS")
@pytest.mark.parametrize("pool", [None, "00000000-0000-0000-0000-000000000000", "00000000000000000000000000"])
async def test_upload_small_file_default_pool_is_single_request(make, server, pool):
    await upload(make(direct="auto", pool_id=pool), picture_source(20_000))
    assert server[0].calls == ["direct"]


@only_dialects("Drive", "DysonFS")
async def test_upload_forbidden_pool_is_permanent_failure(make, server):
    server[0].forbidden_pool = MORE_POOL
    with pytest.raises(Permanent, match="pool not allowed"):
        await upload(make(pool_id=MORE_POOL), picture_source(100))


@only_dialects("DysonFS")
async def test_finish_lost_chunks_are_detected(make, server):
    """They are also detected if the remote identifies files by their MD5."""
    remote, source = make(), picture_source(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    for index in range(begun.count):
        await remote.send(begun, index, content, source)
    server[0].lose_chunks()
    with pytest.raises(SessionLost, match="another hash"):
        await remote.finish(begun, content, source)
    stored = await upload(remote, source)
    assert server[0].files[stored.ref].data == source.data


@only_dialects("Drive", "Drive, spring 2026")
async def test_upload_partial_md5_is_no_proof(make, server):
    """Two files that differ only in the middle have the same partial MD5."""
    one, other = bytearray(binary_data(6 * MIB)), bytearray(binary_data(6 * MIB))
    other[3 * MIB] ^= 1
    remote = make(chunk_size=6 * MIB)
    for data in (bytes(one), bytes(other)):
        stored = await upload(remote, MemorySource(data))
        assert stored.proof < Proof.HASH
        assert server[0].files[stored.ref].data == data
    assert len(server[0].files) == 2


@only_dialects("documented", "Drive, spring 2026", "409 for chunks")
async def test_finish_complete_timeout_finds_stored_file(make, server):
    """*progress* shows whether it succeeded, or *create* finds the file by its hash."""
    dialect = server[0]
    dialect.never_answers_complete = True
    remote, source = make(timeout=1.5), picture_source(20_000)
    stored = await upload(remote, source)
    assert list(dialect.files) == [stored.ref]
    assert not stored.already


@only_dialects("Drive", "DysonFS")
async def test_finish_complete_timeout_without_evidence_is_lost(make, server, algorithm):
    dialect = server[0]
    dialect.never_answers_complete = True
    remote, source = make(timeout=1.5), picture_source(20_000)
    if isinstance(dialect, Drive) and algorithm == "md5":
        assert (await upload(remote, source)).ref in dialect.files
    else:
        with pytest.raises(SessionLost, match="no data was transferred"):
            await upload(remote, source)


@pytest.mark.parametrize("status", ["InProgress", 1, "Pending"])
async def test_finish_complete_not_arrived_is_transient(make_client, mock_response, status):
    url = "http://host.test/api/files/upload"
    mock_response("POST", f"{url}/complete/t-1", exception=TimeoutError())
    mock_response("GET", f"{url}/progress/t-1", payload={"status": status})
    remote, source = make_client("multipart", "http://host.test"), picture_source(100)
    with pytest.raises(Transient, match="no data was transferred"):
        await remote.finish(Session(token="t-1", chunk_size=100, count=1), content_of(remote, source.data), source)


@pytest.fixture
def immediate_cut_off(monkeypatch):
    """Count every failed request as cut off by a slow connection, without real delays."""
    monkeypatch.setattr(http, "CUT_OFF_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(chunk_sizes, "FAST_REQUEST_SECONDS", 0.0)


async def attempt(remote: Any, source: MemorySource, kept: list[Session], failures: int) -> Stored:
    """Upload in one attempt. ``kept`` holds the previous session, then that of this attempt."""
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, kept.pop() if kept else None, failures=failures)
    if isinstance(begun, Stored):
        return begun
    if not begun.single_request:
        kept.append(begun)
    for index in begun.received.missing(begun.count):
        if stored := (await remote.send(begun, index, content, source)).stored:
            return stored
        begun.received.add(index)
    result = await remote.finish(begun, content, source)
    while isinstance(result, Pending):
        result = await remote.poll(result, content)
    return result


async def upload_with_retries(remote: Any, source: MemorySource, *, attempts: int = 12) -> Stored:
    """Retry the upload after each cut-off request, as the worker does."""
    kept: list[Session] = []
    for failures in range(attempts):
        try:
            return await attempt(remote, source, kept, failures)
        except CutOff:
            pass
        except SessionLost:
            kept.clear()
    raise AssertionError("the upload never succeeds")


def test_cut_off_counts_as_overload():
    assert CutOff("lost").overload


@pytest.mark.usefixtures("immediate_cut_off")
@pytest.mark.parametrize("direct", ["auto", "never"])
async def test_upload_cut_off_requests_become_smaller(make, server, direct):
    dialect = server[0]
    dialect.cut_over = 200_000
    remote, source = make(chunk_size=MIB, direct=direct), picture_source(3 * MIB)
    stored = await upload_with_retries(remote, source)
    assert dialect.files[stored.ref].data == source.data
    assert 64 * 1024 <= remote.capabilities["slow"] <= 200_000
    before = len(dialect.calls)
    await upload_with_retries(
        remote, picture_source(3 * MIB + 1), attempts=2
    )  # the next file starts with the smaller size
    assert "create" in dialect.calls[before:]


@only_dialects("documented")
@pytest.mark.usefixtures("immediate_cut_off")
async def test_send_single_cut_off_keeps_chunk_size(make, server):
    remote, source = make(chunk_size=MIB), picture_source(3 * MIB)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    for _ in range(5):
        server[0].cut_over = 1000
        with pytest.raises(CutOff):
            await remote.send(begun, 0, content, source)
        server[0].cut_over = None
        await remote.send(begun, 1, content, source)
    assert not remote.capabilities


@only_dialects("Drive")
@pytest.mark.parametrize("algorithm", ["md5"], indirect=True)
async def test_confirm_derivative_of_same_length_is_unknown(make, server):
    remote, source = make(), picture_source(20_000)
    stored = await upload(remote, source)
    server[0].derivative, server[0].processing = bytes(20_000), 1
    found = await remote.confirm(stored.ref, content_of(remote, source.data), thorough=True)
    assert (found.presence, found.reason) == (Presence.UNKNOWN, "the server answered 400: being processed")
