"""Test the image client and the upload code with each simulated server.

:data:`OPERATIONS` are the rows of the table in docs/reference/servers.md. :data:`LIMITS` lists the operations that a
server cannot support, with the expected failure.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from syncd.core.breaker import Breaker
from syncd.core.chunks import ChunkSet
from syncd.core.concurrency import AdaptiveLimit, ConcurrencyLimit, FixedLimit
from syncd.core.errors import CutOff, Failure, NotStored, Permanent, Transient
from syncd.core.model import ChunkResult, Content, Presence, Proof, Session, Stored
from syncd.core.retry import Policy
from syncd.remotes import chunk_sizes, http
from syncd.remotes.base import Remote
from syncd.store.records import ContentRecords
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.transfer import Progress, Transfer
from tests.remotes.dialects import DIALECTS, Documented
from tests.remotes.helpers import MemorySource, ascii_text, content_of, serve_app

CHUNK = 4096
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "servers.md"


class UnchangingSource(MemorySource):
    """A file in memory that never changes."""

    async def verify(self) -> None:
        pass


@dataclass
class FakeSessionStore:
    """Keeps the sessions of one remote, as the store does."""

    kept: dict[str, Session] = field(default_factory=dict)

    def records(self, key: str) -> ContentRecords:
        kept = self.kept.get(key)
        session = kept and replace(kept, received=ChunkSet(kept.received))
        return ContentRecords(stored=None, anywhere=[], session=session, cancelled=False)

    async def save_session(self, remote_id: int, key: str, session: Session) -> None:
        self.kept[key] = replace(session, received=ChunkSet(session.received))

    async def drop_session(self, remote_id: int, key: str) -> None:
        self.kept.pop(key, None)

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        self.kept[key].received.add(index)

    async def require_verification(self, remote_id: int, key: str) -> None:
        self.kept[key] = replace(self.kept[key], needs_verification=True)


@dataclass
class DialectHarness:
    """One simulated server, its client, and the upload code."""

    server: Documented
    make: Callable[..., Any]
    store: FakeSessionStore = field(default_factory=FakeSessionStore)
    clock: Callable[[], float] = field(default_factory=lambda: itertools.count(step=10.0).__next__)

    def __post_init__(self) -> None:
        self.remote: Remote = self.make()

    def content(self, data: bytes) -> Content:
        return content_of(self.remote, data)

    def text(self, data: bytes) -> str:
        """Return the text of ``data``, which is ASCII."""
        return data.decode("ascii")

    async def upload(self, data: bytes, limit: ConcurrencyLimit | None = None) -> Stored:
        """Upload one file with :class:`Transfer`."""
        breaker = Breaker(Policy(), lambda: 0.0)
        endpoint = Endpoint(self.remote, ConcurrencyLimiter(limit or FixedLimit(3)), breaker, clock=self.clock)
        job: Any = SimpleNamespace(id=1, remote_id=1, failures=0, backlog=False)
        transfer = Transfer(
            job,
            self.content(data),
            UnchangingSource(data),  # type: ignore[arg-type]
            records=self.store.records(self.content(data).key),
            endpoint=endpoint,
            store=self.store,  # type: ignore[arg-type]
            progress=Progress(job=job),
            stopping=lambda: False,
            first=False,
        )
        stored = (await transfer.run()).stored
        self.store.kept.clear()
        return stored

    async def upload_with_retries(self, data: bytes, limit: ConcurrencyLimit, *, attempts: int = 12) -> Stored:
        """Upload one file over a slow connection without real delays; retry as the worker does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http, "CUT_OFF_AFTER_SECONDS", 0.0)
            patch.setattr(chunk_sizes, "FAST_REQUEST_SECONDS", 0.0)
            for _ in range(attempts - 1):
                with suppress(CutOff):
                    return await self.upload(data, limit)
            return await self.upload(data, limit)

    async def register(self, data: bytes, *, chunk_size: int, sent: Sequence[int] = ()) -> Session:
        """Register an image and send some of its chunks, as another client would."""
        other = self.make(chunk_size=chunk_size)
        begun = await other.begin(self.content(data), MemorySource(data), None, failures=0)
        assert isinstance(begun, Session)
        for index in sent:
            await other.send(begun, index, self.content(data), MemorySource(data))
        return begun


async def new_file(harness: DialectHarness) -> None:
    """upload a new file"""
    data = ascii_text(5 * CHUNK + 1)
    stored = await harness.upload(data)
    assert (stored.already, stored.proof) == (False, Proof.SIZE)
    assert harness.server.images[harness.content(data).key].text == harness.text(data)
    assert harness.server.calls["chunk"] == 6


async def same_file(harness: DialectHarness) -> None:
    """recognise a file that the server has"""
    data = ascii_text(3 * CHUNK)
    await harness.upload(data)
    again = await harness.upload(data)
    assert (again.already, again.proof) == (True, Proof.BYTES)
    assert harness.server.calls["chunk"] == 3


async def looks_like_html(harness: DialectHarness) -> None:
    """upload, recognise and read back text that looks like HTML"""
    for start in (b"<html", b"<!-- made by hand -->", b"<b>", b"<p>", b"<svg"):
        data = ascii_text(2 * CHUNK, start=start)
        stored = await harness.upload(data)
        assert (await harness.upload(data)).already
        found = await harness.remote.confirm(stored.ref, harness.content(data), thorough=True)
        assert found.presence is Presence.YES
        assert await fetch(harness, stored.ref, data) == data


async def resumed(harness: DialectHarness) -> None:
    """resume after a restart, without a chunk sent twice"""
    data = ascii_text(5 * CHUNK)
    begun = await harness.register(data, chunk_size=CHUNK, sent=[0, 3])
    await harness.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0, 3])))
    await harness.upload(data)
    assert harness.server.images[begun.token].text == harness.text(data)
    assert harness.server.calls == {"register": 1, "chunk": 5}


async def forgotten(harness: DialectHarness) -> None:
    """start again after the server has forgotten the upload"""
    data = ascii_text(5 * CHUNK)
    begun = await harness.register(data, chunk_size=CHUNK, sent=[0, 3])
    await harness.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0, 3])))
    harness.server.images.clear()
    await harness.upload(data)
    assert harness.server.images[begun.token].text == harness.text(data)


async def lost_chunks(harness: DialectHarness) -> None:
    """start again after the server has lost all chunks but not the image"""
    data = ascii_text(5 * CHUNK)
    begun = await harness.register(data, chunk_size=CHUNK, sent=range(5))
    await harness.store.save_session(1, begun.token, replace(begun, received=ChunkSet(range(5))))
    harness.server.lose_chunks(begun.token)
    assert (await harness.upload(data)).proof is Proof.BYTES


async def registered(harness: DialectHarness) -> None:
    """complete an image that was registered and never sent"""
    data = ascii_text(5 * CHUNK)
    await harness.register(data, chunk_size=CHUNK)
    stored = await harness.upload(data)
    assert (stored.already, stored.proof) == (False, Proof.BYTES)


async def begun_by_another(harness: DialectHarness) -> None:
    """complete an image of which another client has sent a part"""
    data = ascii_text(5 * CHUNK)
    await harness.register(data, chunk_size=CHUNK, sent=[1, 4])
    assert (await harness.upload(data)).proof is Proof.BYTES


async def other_chunk_size(harness: DialectHarness) -> None:
    """complete an image that was registered with another chunk size"""
    data = ascii_text(5 * CHUNK)
    await harness.register(data, chunk_size=2 * CHUNK)
    assert (await harness.upload(data)).proof is Proof.BYTES


async def other_content(harness: DialectHarness) -> None:
    """report that the server has other content under the hash"""
    data = ascii_text(3 * CHUNK)
    other = harness.text(ascii_text(3 * CHUNK, start=b"other"))
    harness.server.store_image(other, under=harness.content(data).key, chunk_size=CHUNK)
    with pytest.raises(Permanent, match="has different content under this hash"):
        await harness.upload(data)


async def large_chunks(harness: DialectHarness) -> None:
    """upload in chunks of 48 KiB"""
    harness.remote = harness.make(chunk_size=48 * 1024)
    await harness.upload(ascii_text(100_000))


async def after_large_chunks(harness: DialectHarness) -> None:
    """upload the second file, after chunks of 48 KiB"""
    harness.remote = harness.make(chunk_size=48 * 1024)
    with suppress(Permanent):
        await harness.upload(ascii_text(100_000))
    await harness.upload(ascii_text(100_001))


async def slow_line(harness: DialectHarness) -> None:
    """upload a new file over a connection that is too slow for its chunks"""
    harness.server.cut_over = 2500
    harness.remote = harness.make(chunk_size=8000)
    data = ascii_text(100_000)
    await harness.upload_with_retries(data, AdaptiveLimit())
    assert harness.server.images[harness.content(data).key].text == harness.text(data)


async def after_slow_line(harness: DialectHarness) -> None:
    """upload the second file over such a connection"""
    with suppress(CutOff):
        await slow_line(harness)
    cut_off = harness.server.calls["cut off"]
    await harness.upload(ascii_text(100_001))
    assert harness.server.calls["cut off"] == cut_off


async def refused_registration(harness: DialectHarness) -> None:
    """show the server's message"""
    with pytest.raises(Permanent, match="size must be positive"):
        await harness.remote.begin(Content(key="1" * 64, size=0, encoding="text"), MemorySource(b"a"), None, failures=0)


async def over_4_mib(harness: DialectHarness) -> None:
    """recognise a file of more than 4 MiB that the server has"""
    harness.remote = harness.make(chunk_size=8000)
    data = ascii_text(4 * 1024 * 1024 + 1)
    harness.server.store_image(harness.text(data), under=harness.content(data).key, chunk_size=8000)
    assert (await harness.upload(data)).already


async def read_back(harness: DialectHarness) -> None:
    """read back and confirm, and report a missing file"""
    data = ascii_text(3 * CHUNK)
    stored = await harness.upload(data)
    assert await fetch(harness, stored.ref, data) == data
    for thorough in (False, True):
        assert (
            await harness.remote.confirm(stored.ref, harness.content(data), thorough=thorough)
        ).presence is Presence.YES
    harness.server.images.clear()
    assert (await harness.remote.confirm(stored.ref, harness.content(data))).presence is Presence.NO
    with pytest.raises(NotStored):
        await fetch(harness, stored.ref, data)


async def checked(harness: DialectHarness) -> None:
    """pass a check, which leaves nothing"""
    await harness.remote.check()
    await harness.remote.measure_upload(1024)
    assert not harness.server.images


OPERATIONS: tuple[Callable[[DialectHarness], Awaitable[None]], ...] = (
    checked,
    new_file,
    same_file,
    looks_like_html,
    resumed,
    forgotten,
    lost_chunks,
    registered,
    begun_by_another,
    other_chunk_size,
    other_content,
    large_chunks,
    after_large_chunks,
    slow_line,
    after_slow_line,
    over_4_mib,
    read_back,
    refused_registration,
)

_FIXED = (Permanent, "registered before, perhaps with chunks of another size")
_STILL_CUT_OFF = (CutOff, "closed the connection|connection to .* was lost")
LIMITS: dict[tuple[str, str], tuple[type[Failure], str]] = {
    ("omp", "other_chunk_size"): _FIXED,
    ("habibeh92", "other_chunk_size"): _FIXED,
    ("fatemezak", "other_chunk_size"): _FIXED,
    ("omp", "large_chunks"): (Permanent, "accepts no chunk of 49152 characters"),
    ("omp", "slow_line"): _STILL_CUT_OFF,
    ("habibeh92", "slow_line"): _STILL_CUT_OFF,
    ("fatemezak", "slow_line"): _STILL_CUT_OFF,
    ("omp", "lost_chunks"): (Transient, "can't be compared"),
    ("habibeh92", "over_4_mib"): (Transient, "can't be compared.*too large a message.*set verify to never"),
}
"""By dialect and operation: the expected failure and its message."""


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def harness(dialect: str, make_client: Any) -> AsyncIterator[DialectHarness]:
    server = DIALECTS[dialect]()
    async with serve_app(server.app) as url:
        yield DialectHarness(
            server, lambda **values: make_client("image", url, **{"chunk_size": CHUNK, "encoding": "text", **values})
        )


async def fetch(harness: DialectHarness, ref: str, data: bytes) -> bytes:
    """Download a file."""
    taken = bytearray()
    key = await harness.remote.fetch(ref, harness.content(data).key, lambda piece: taken.extend(piece) is None)
    assert key == harness.content(data).key
    return bytes(taken)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_dialect_supports_operation(
    harness: DialectHarness, dialect: str, operation: Callable[[DialectHarness], Awaitable[None]]
) -> None:
    if limit := LIMITS.get((dialect, operation.__name__)):
        failure, words = limit
        with pytest.raises(failure, match=words):
            await operation(harness)
    else:
        await operation(harness)


async def test_upload_400_for_content_keeps_chunk_size(
    harness: DialectHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rejection for the content makes no later chunk smaller."""
    read = harness.server._json

    async def read_most(request: web.Request) -> dict[str, Any] | None:
        order = await read(request)
        return None if order is None or "forbidden" in order.get("data", "") else order

    monkeypatch.setattr(harness.server, "_json", read_most)
    with pytest.raises(Permanent):
        await harness.upload(ascii_text(CHUNK, start=b"forbidden"))
    assert harness.remote.capabilities == {}


async def test_upload_cut_off_lowers_concurrency_before_chunk_size(
    harness: DialectHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.server.cut_over, limit = 2500, AdaptiveLimit()
    harness.remote = harness.make(chunk_size=8000)
    send, sent = harness.remote.send, []

    async def record_and_send(session: Session, *about: Any) -> ChunkResult:
        sent.append((limit.value, session.chunk_size))
        return await send(session, *about)

    monkeypatch.setattr(harness.remote, "send", record_and_send)
    with suppress(CutOff):
        await harness.upload_with_retries(ascii_text(100_000), limit)
    smaller = [value for value, chunk_size in sent if chunk_size < 8000]
    assert (sent[0], smaller[0]) == ((4, 8000), 1)


async def test_slow_limit_is_restored_and_grows_when_fast(harness: DialectHarness) -> None:
    with suppress(CutOff):
        await slow_line(harness)
    capabilities = dict(harness.remote.capabilities)
    assert capabilities == {"slow": 2000}
    harness.remote = harness.make(chunk_size=8000)
    harness.remote.restore_capabilities(capabilities)
    harness.server.cut_over = None
    for size, chunk_count, left in ((10_000, 5, {"slow": 4000}), (10_001, 3, {})):
        before = harness.server.calls["chunk"]
        await harness.upload(ascii_text(size))
        assert (harness.server.calls["chunk"] - before, harness.remote.capabilities) == (chunk_count, left)


@pytest.mark.parametrize("dialect", ["documented"], indirect=True)
async def test_upload_408_counts_as_cut_off(harness: DialectHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_late(request: web.Request) -> None:
        raise web.HTTPRequestTimeout

    monkeypatch.setattr(harness.server, "_enforce_time_limit", too_late)
    with pytest.raises(CutOff):
        await harness.upload_with_retries(ascii_text(100_000), AdaptiveLimit(), attempts=6)
    assert harness.remote.capabilities["slow"] < CHUNK


@pytest.mark.parametrize("dialect", ["omp", "habibeh92", "fatemezak"], indirect=True)
async def test_upload_fixed_chunk_size_succeeds_when_fast_again(harness: DialectHarness) -> None:
    with pytest.raises(CutOff):
        await slow_line(harness)
    harness.server.cut_over = None
    data = ascii_text(100_000)
    assert (await harness.upload(data)).proof >= Proof.SIZE
    assert harness.server.images[harness.content(data).key].text == harness.text(data)


@pytest.mark.parametrize("dialect", ["documented", "uploadsvc-go", "ableton", "OMPFinex"], indirect=True)
async def test_upload_short_last_chunk_is_not_sent_first(harness: DialectHarness) -> None:
    """It would fix the chunk size of the image, and its other chunks are too large."""
    harness.server.cut_over = 2500
    harness.remote = harness.make(chunk_size=8000)
    data = ascii_text(9000)
    await harness.upload_with_retries(data, AdaptiveLimit())
    assert harness.server.images[harness.content(data).key].text == harness.text(data)


async def test_upload_resumed_image_keeps_chunk_size(harness: DialectHarness) -> None:
    """After one accepted chunk, the next chunks keep its size, even if they are cut off."""
    data = ascii_text(100_000)
    harness.remote = harness.make(chunk_size=8000)
    begun = await harness.register(data, chunk_size=8000, sent=[0])
    await harness.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0])))
    harness.server.cut_over = 2500
    with pytest.raises(CutOff):
        await harness.upload_with_retries(data, AdaptiveLimit())
    assert harness.remote.capabilities["slow"] < 8000
    harness.server.cut_over = None
    await harness.upload(data)
    assert harness.server.images[begun.token].text == harness.text(data)
    assert harness.server.images[begun.token].accepted == 13


@pytest.mark.parametrize("dialect", ["documented", "uploadsvc-go", "omp", "habibeh92", "fatemezak"], indirect=True)
async def test_upload_unacknowledged_chunk_keeps_chunk_size(harness: DialectHarness) -> None:
    """The server has accepted a large chunk, but the client has no response."""
    data = ascii_text(100_000)
    harness.remote = harness.make(chunk_size=8000)
    begun = await harness.register(data, chunk_size=8000, sent=[0])
    await harness.store.save_session(1, begun.token, begun)
    harness.remote.restore_capabilities({"slow": 4000})
    await harness.upload(data)
    assert harness.server.images[begun.token].text == harness.text(data)


def operations_table() -> list[str]:
    """Return the lines of the table of operations and dialects in docs/reference/servers.md."""
    lines = [f"| Operation | {' | '.join(DIALECTS)} |", "|---" * (len(DIALECTS) + 1) + "|"]
    for operation in OPERATIONS:
        cells = ["no" if (name, operation.__name__) in LIMITS else "yes" for name in DIALECTS]
        lines.append(f"| {operation.__doc__} | {' | '.join(cells)} |")
    return lines


def test_servers_document_has_operations_table() -> None:
    written = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert written == operations_table()
