"""What every upload does alike, shown against stand-ins for the servers of the multipart API; and what each needs."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.errors import CutOff, Failure, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Pending, Presence, Proof, Session, Stored
from syncd.remotes import chunk_sizes, http
from tests.remotes.dialects_multipart import DIALECTS, MIB, Documented, Drive
from tests.remotes.helpers import TOKEN, Memory, Meter, content_of, serving, upload

CHUNK = 4096
SIZES = [1, CHUNK, CHUNK + 1, 50_000]
MORE_POOL = "00000000-0000-0000-0000-000000000002"


@pytest.fixture(params=DIALECTS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Documented, str]]:
    dialect = DIALECTS[request.param]()
    async with serving(dialect.app) as url:
        yield dialect, url


def only(*names: str) -> Any:
    return pytest.mark.parametrize("server", names, indirect=True)


@pytest.fixture(params=["sha256", "md5"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(remote_to: Any, server: tuple[Documented, str], algorithm: str) -> Any:
    def to_server(**values: Any) -> Any:
        fixed = {"token": TOKEN, "chunk_size": CHUNK, "hash": algorithm, "direct": "never"}
        return remote_to("multipart", server[1], **{**fixed, **values})

    return to_server


def noise(size: int) -> bytes:
    return b"\xff" + random.Random(size).randbytes(size - 1)


def picture(size: int) -> Memory:
    return Memory(noise(size))


async def taken_back(remote: Any, stored: Stored, source: Memory) -> bytes:
    """Fetch the file as *verify* does: it has to have the key that it was uploaded with."""
    pieces: list[bytes] = []
    key = content_of(remote, source.data).key
    assert await remote.fetch(stored.ref, key, lambda data: pieces.append(data) or True) == key
    return b"".join(pieces)


# The contract.


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_arrives_whole_with_chunks_in_any_order(make, server, size):
    remote, source = make(), picture(size)
    stored = await upload(remote, source, order=lambda indices: random.Random(size).sample(indices, len(indices)))
    assert not stored.already
    assert stored.proof >= Proof.SIZE
    assert server[0].files[stored.ref].data == source.data


async def test_what_was_stored_is_read_back_as_it_was_sent(make):
    remote, source = make(), picture(20_000)
    assert await taken_back(remote, await upload(remote, source), source) == source.data


@pytest.mark.parametrize("direct", ["auto", "never"])
async def test_a_file_is_stored_once(make, server, direct):
    remote = make(direct=direct)
    source = picture(20_000)
    failures = 0
    while True:  # as the engine does: one request first, chunks where the server does not offer that
        try:
            await upload(remote, source, failures=failures)
            break
        except SessionLost:
            failures += 1
            assert failures < 3
    assert len(server[0].files) == 1


async def test_a_restart_sends_only_what_was_not_acknowledged(make, server):
    first, source, meter = make(), picture(5 * CHUNK), Meter()
    content = content_of(first, source.data)
    begun = await first.begin(content, source, None, failures=0)
    for index in (0, 2, 3):
        await first.send(begun, index, content, source)
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet([0, 2, 3])
    )
    stored = await upload(make(throttle=meter), source, remembered, failures=1)
    assert server[0].files[stored.ref].data == source.data
    assert sum(meter.spent) < 2 * (CHUNK + 512) + 512


async def test_a_chunk_sent_twice_does_no_harm(make, server):
    remote, source = make(), picture(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 1, content, source)
    stored = await upload(remote, source, begun)
    assert server[0].files[stored.ref].data == source.data


async def test_a_task_that_the_server_does_not_know_is_lost(make):
    remote, source = make(), picture(CHUNK)
    with pytest.raises(SessionLost):
        await upload(remote, source, Session(token="t-99", chunk_size=CHUNK, count=1), failures=1)


async def test_what_is_incomplete_is_begun_again(make, server):
    remote, source = make(), picture(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    with pytest.raises(SessionLost):
        await remote.finish(begun, content, source)
    stored = await upload(remote, source)
    assert server[0].files[stored.ref].data == source.data


async def test_complete_once_more_stores_nothing_twice(make, server):
    remote, source = make(), picture(CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    await remote.send(begun, 0, content, source)
    await remote.finish(begun, content, source)
    with pytest.raises(SessionLost):
        await remote.finish(begun, content, source)
    assert len(server[0].files) == 1


async def test_what_was_stored_is_confirmed_and_what_was_not_is_not(make):
    remote, source = make(), picture(20_000)
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    assert (await remote.confirm(stored.ref, content)).presence is Presence.YES
    thorough = await remote.confirm(stored.ref, content, thorough=True)
    assert thorough.presence is Presence.YES
    assert thorough.proof >= remote.required_proof
    assert (await remote.confirm("f-99", content, thorough=True)).presence is Presence.NO


async def test_check_passes_with_the_token_and_tells_without(make, server):
    await make().check()
    for token in (None, "another-one"):
        with pytest.raises(Unauthorized, match="401"):
            await make(token=token).check()


async def test_a_file_over_5_mib(make, server):
    remote, source = make(chunk_size=4 * MIB), picture(9 * MIB)
    stored = await upload(remote, source)
    assert stored.proof >= Proof.SIZE
    assert len(server[0].files) == 1
    assert await taken_back(remote, stored, source) == source.data


# What single servers need.


@only("Drive", "Drive, spring 2026")
async def test_a_picture_that_is_still_processed_is_not_taken_for_another(make, server):
    """The request without ``original`` would have given a derivative."""
    remote, source = make(), picture(20_000)
    stored = await upload(remote, source)
    dialect = server[0]
    dialect.processing = 1
    with pytest.raises(Failure, match="being processed"):
        await taken_back(remote, stored, source)
    dialect.processing = 1
    content = content_of(remote, source.data)
    assert (await remote.confirm(stored.ref, content, thorough=True)).presence is Presence.UNKNOWN
    assert await taken_back(remote, stored, source) == source.data


@only("documented")
@pytest.mark.parametrize("status", [400, 404, 405, 422, 500, 501])
async def test_a_server_that_does_not_know_the_query_is_no_worse_off(make, server, status):
    server[0].status_of_query = status
    remote, source = make(), picture(20_000)
    stored = await upload(remote, source)
    content = content_of(remote, source.data)
    assert await taken_back(remote, stored, source) == source.data
    for thorough in (False, True):
        assert (await remote.confirm(stored.ref, content, thorough=thorough)).presence is Presence.YES


@only("Drive", "DysonFS", "documented")
@pytest.mark.parametrize("call", ["complete", "direct", "create"])
async def test_a_password_that_is_ignored_is_a_failure(make, server, call):
    """The file is on the server as it was sent, for everybody who may read it: that is not what was asked for."""
    source = picture(20_000)
    if call == "create":
        await upload(make(), source)
    with pytest.raises(Permanent, match="ignored encrypt_password"):
        await upload(make(encrypt_password="psst", direct="auto" if call == "direct" else "never"), source)


@only("documented")
async def test_a_password_that_is_heeded(make, server):
    """Of the right length or not, and with the hash of what is kept or of what was sent."""
    dialect = server[0]
    store = dialect.store

    def encrypt(data, order):
        return store(bytes(byte ^ 0x55 for byte in data), order)

    dialect.store = encrypt
    remote = make(encrypt_password="psst")
    stored = await upload(remote, picture(20_000))
    assert stored.ref in dialect.files


@only("Drive", "Drive, spring 2026", "DysonFS")
async def test_a_small_file_comes_to_the_right_pool_and_expiry(make, server):
    """In one request, these servers would leave them out."""
    remote = make(direct="auto", pool_id=MORE_POOL, bundle_id=MORE_POOL, expired_at="2030-01-31T12:00:00Z")
    stored = await upload(remote, picture(20_000))
    file = server[0].files[stored.ref]
    assert (file.pool, file.bundle, file.expires) == (MORE_POOL, MORE_POOL, "2030-01-31T12:00:00Z")


@only("Drive", "DysonFS")
@pytest.mark.parametrize("pool", [None, "00000000-0000-0000-0000-000000000000", "00000000000000000000000000"])
async def test_a_small_file_for_the_default_pool_goes_in_one_request(make, server, pool):
    await upload(make(direct="auto", pool_id=pool), picture(20_000))
    assert server[0].calls == ["direct"]


@only("Drive", "DysonFS")
async def test_a_pool_that_is_not_allowed_is_said(make, server):
    server[0].forbidden_pool = MORE_POOL
    with pytest.raises(Permanent, match="pool not allowed"):
        await upload(make(pool_id=MORE_POOL), picture(100))


@only("DysonFS")
async def test_holes_of_zeros_are_seen(make, server):
    """Also where the remote knows files by their MD5."""
    remote, source = make(), picture(3 * CHUNK)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    for index in range(begun.count):
        await remote.send(begun, index, content, source)
    server[0].lose_chunks()
    with pytest.raises(SessionLost, match="another hash"):
        await remote.finish(begun, content, source)
    stored = await upload(remote, source)
    assert server[0].files[stored.ref].data == source.data


@only("Drive", "Drive, spring 2026")
async def test_the_md5_of_a_part_proves_nothing_of_the_middle(make, server):
    """Two files that differ in the middle alone have the same one."""
    one, other = bytearray(noise(6 * MIB)), bytearray(noise(6 * MIB))
    other[3 * MIB] ^= 1
    remote = make(chunk_size=6 * MIB)
    for data in (bytes(one), bytes(other)):
        stored = await upload(remote, Memory(data))
        assert stored.proof < Proof.HASH
        assert server[0].files[stored.ref].data == data
    assert len(server[0].files) == 2


@only("documented", "Drive, spring 2026", "409 for chunks")
async def test_a_complete_that_takes_longer_than_we_wait(make, server):
    """Whether it succeeded, *progress* tells, or *create*, which finds the file by its hash."""
    dialect = server[0]
    dialect.never_answers_complete = True
    remote, source = make(timeout=1.5), picture(20_000)
    stored = await upload(remote, source)
    assert list(dialect.files) == [stored.ref]
    assert not stored.already


@only("Drive", "DysonFS")
async def test_a_complete_without_an_answer_where_nothing_tells(make, server, algorithm):
    dialect = server[0]
    dialect.never_answers_complete = True
    remote, source = make(timeout=1.5), picture(20_000)
    if isinstance(dialect, Drive) and algorithm == "md5":
        assert (await upload(remote, source)).ref in dialect.files
    else:
        with pytest.raises(SessionLost, match="no data was transferred"):
            await upload(remote, source)


@pytest.mark.parametrize("status", ["InProgress", 1, "Pending"])
async def test_a_complete_that_did_not_arrive_is_tried_again(remote_to, answers, status):
    url = "http://host.test/api/files/upload"
    answers("POST", f"{url}/complete/t-1", exception=TimeoutError())
    answers("GET", f"{url}/progress/t-1", payload={"status": status})
    remote, source = remote_to("multipart", "http://host.test"), picture(100)
    with pytest.raises(Transient, match="no data was transferred"):
        await remote.finish(Session(token="t-1", chunk_size=100, count=1), content_of(remote, source.data), source)


@pytest.fixture
def at_once(monkeypatch):
    """A line that is slow, and has no time for it."""
    monkeypatch.setattr(http, "CUT_OFF_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(chunk_sizes, "FAST_REQUEST_SECONDS", 0.0)


async def attempt(remote: Any, source: Memory, kept: list[Session], failures: int) -> Stored:
    """Upload with the session in ``kept``, if there is one; leave there what the next attempt goes on with."""
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


async def patient(remote: Any, source: Memory, *, most: int = 12) -> Stored:
    """Try again as the engine does, with fewer requests in flight each time."""
    kept: list[Session] = []
    for failures in range(most):
        try:
            return await attempt(remote, source, kept, failures)
        except CutOff:
            pass
        except SessionLost:
            kept.clear()
    raise AssertionError("it never gets through")


def test_one_that_is_cut_off_asks_for_fewer_requests_in_flight():
    assert CutOff("lost").overload


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("direct", ["auto", "never"])
async def test_a_server_that_ends_long_requests_gets_smaller_ones(make, server, direct):
    dialect = server[0]
    dialect.cut_over = 200_000
    remote, source = make(chunk_size=MIB, direct=direct), picture(3 * MIB)
    stored = await patient(remote, source)
    assert dialect.files[stored.ref].data == source.data
    assert 64 * 1024 <= remote.capabilities["slow"] <= 200_000
    before = len(dialect.calls)
    await patient(remote, picture(3 * MIB + 1), most=2)  # the next file has none of that trouble
    assert "create" in dialect.calls[before:]


@only("documented")
@pytest.mark.usefixtures("at_once")
async def test_one_request_that_is_cut_off_costs_no_session(make, server):
    remote, source = make(chunk_size=MIB), picture(3 * MIB)
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, None, failures=0)
    for _ in range(5):
        server[0].cut_over = 1000
        with pytest.raises(CutOff):
            await remote.send(begun, 0, content, source)
        server[0].cut_over = None
        await remote.send(begun, 1, content, source)
    assert not remote.capabilities


@only("Drive")
@pytest.mark.parametrize("algorithm", ["md5"], indirect=True)
async def test_a_derivative_of_the_same_length_is_no_other_content(make, server):
    remote, source = make(), picture(20_000)
    stored = await upload(remote, source)
    server[0].derivative, server[0].processing = bytes(20_000), 1
    found = await remote.confirm(stored.ref, content_of(remote, source.data), thorough=True)
    assert (found.presence, found.reason) == (Presence.UNKNOWN, "the server answered 400: being processed")
