"""What the client and the engine's upload make of each server of the image API: the contract, dialect by dialect.

:data:`OPERATIONS` are the rows of the table in docs/reference/servers.md; :data:`LIMITS` says what fails, and why.
"""

import itertools
import random
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
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.transfer import Progress, Transfer
from tests.remotes.dialects import DIALECTS, Documented
from tests.remotes.helpers import Memory, content_of, serving

CHUNK = 4096
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "servers.md"


class File(Memory):
    """A file in memory that never changes."""

    async def verify(self) -> None:
        pass


@dataclass
class Store:
    """The sessions of one remote, as the engine's store keeps them."""

    kept: dict[str, Session] = field(default_factory=dict)

    async def uploaded_before(self, key: str, sha256: str | None) -> list[object]:
        return []

    async def session(self, remote_id: int, key: str) -> Session | None:
        kept = self.kept.get(key)
        return kept and replace(kept, received=ChunkSet(kept.received))

    async def save_session(self, remote_id: int, key: str, session: Session) -> None:
        self.kept[key] = replace(session, received=ChunkSet(session.received))

    async def drop_session(self, remote_id: int, key: str) -> None:
        self.kept.pop(key, None)

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        self.kept[key].received.add(index)

    async def require_verification(self, remote_id: int, key: str) -> None:
        self.kept[key] = replace(self.kept[key], needs_verification=True)


@dataclass
class Bench:
    """One server, a client of it and its engine."""

    server: Documented
    make: Callable[..., Any]
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.remote: Remote = self.make()

    def content(self, data: bytes) -> Content:
        return content_of(self.remote, data)

    def text(self, data: bytes) -> str:
        """Return the text that ``data`` travels as; for ASCII that is ``data``."""
        return data.decode("ascii")

    async def upload(self, data: bytes, limit: ConcurrencyLimit | None = None) -> Stored:
        """Run the engine's upload of one file."""
        clock = itertools.count(step=10.0).__next__
        breaker = Breaker(Policy(), lambda: 0.0)
        endpoint = Endpoint(self.remote, ConcurrencyLimiter(limit or FixedLimit(3)), breaker, clock=clock)
        job: Any = SimpleNamespace(id=1, remote_id=1, failures=0)
        transfer = Transfer(
            job,
            self.content(data),
            File(data),  # type: ignore[arg-type]
            endpoint=endpoint,
            store=self.store,  # type: ignore[arg-type]
            progress=Progress(job=job),
            stopping=lambda: False,
        )
        stored = (await transfer.run()).stored
        self.store.kept.clear()
        return stored

    async def patiently(self, data: bytes, limit: ConcurrencyLimit, *, most: int = 12) -> Stored:
        """Upload one file over a line that is slow, and has no time for it; try again as the engine does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http, "CUT_OFF_AFTER_SECONDS", 0.0)
            patch.setattr(chunk_sizes, "FAST_REQUEST_SECONDS", 0.0)
            for _ in range(most - 1):
                with suppress(CutOff):
                    return await self.upload(data, limit)
            return await self.upload(data, limit)

    async def register(self, data: bytes, *, chunk_size: int, sent: Sequence[int] = ()) -> Session:
        """Register an image and send some of its chunks, as somebody else does."""
        other = self.make(chunk_size=chunk_size)
        begun = await other.begin(self.content(data), Memory(data), None, failures=0)
        assert isinstance(begun, Session)
        for index in sent:
            await other.send(begun, index, self.content(data), Memory(data))
        return begun


def ascii_art(size: int, *, start: bytes = b"") -> bytes:
    """Return a text of ``size`` characters."""
    letters = random.Random(size).randbytes(size).translate(bytes(97 + byte % 26 for byte in range(256)))
    return (start + letters)[:size]


async def new_file(bench: Bench) -> None:
    """upload a new file"""
    data = ascii_art(5 * CHUNK + 1)
    stored = await bench.upload(data)
    assert (stored.already, stored.proof) == (False, Proof.SIZE)
    assert bench.server.images[bench.content(data).key].text == bench.text(data)
    assert bench.server.calls["chunk"] == 6


async def same_file(bench: Bench) -> None:
    """recognise a file that the server has"""
    data = ascii_art(3 * CHUNK)
    await bench.upload(data)
    again = await bench.upload(data)
    assert (again.already, again.proof) == (True, Proof.BYTES)
    assert bench.server.calls["chunk"] == 3


async def looks_like_html(bench: Bench) -> None:
    """upload, recognise and read back text that looks like HTML"""
    for start in (b"<html", b"<!-- made by hand -->", b"<b>", b"<p>", b"<svg"):
        data = ascii_art(2 * CHUNK, start=start)
        stored = await bench.upload(data)
        assert (await bench.upload(data)).already
        found = await bench.remote.confirm(stored.ref, bench.content(data), thorough=True)
        assert found.presence is Presence.YES
        assert await fetched(bench, stored.ref, data) == data


async def resumed(bench: Bench) -> None:
    """resume after a restart, without a chunk sent twice"""
    data = ascii_art(5 * CHUNK)
    begun = await bench.register(data, chunk_size=CHUNK, sent=[0, 3])
    await bench.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0, 3])))
    await bench.upload(data)
    assert bench.server.images[begun.token].text == bench.text(data)
    assert bench.server.calls == {"register": 1, "chunk": 5}


async def forgotten(bench: Bench) -> None:
    """start again after the server has forgotten the upload"""
    data = ascii_art(5 * CHUNK)
    begun = await bench.register(data, chunk_size=CHUNK, sent=[0, 3])
    await bench.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0, 3])))
    bench.server.images.clear()
    await bench.upload(data)
    assert bench.server.images[begun.token].text == bench.text(data)


async def lost_chunks(bench: Bench) -> None:
    """start again after the server has lost all chunks but not the image"""
    data = ascii_art(5 * CHUNK)
    begun = await bench.register(data, chunk_size=CHUNK, sent=range(5))
    await bench.store.save_session(1, begun.token, replace(begun, received=ChunkSet(range(5))))
    bench.server.lose_chunks(begun.token)
    assert (await bench.upload(data)).proof is Proof.BYTES


async def registered(bench: Bench) -> None:
    """complete an image that was registered and never sent"""
    data = ascii_art(5 * CHUNK)
    await bench.register(data, chunk_size=CHUNK)
    stored = await bench.upload(data)
    assert (stored.already, stored.proof) == (False, Proof.BYTES)


async def begun_by_another(bench: Bench) -> None:
    """complete an image of which another client has sent a part"""
    data = ascii_art(5 * CHUNK)
    await bench.register(data, chunk_size=CHUNK, sent=[1, 4])
    assert (await bench.upload(data)).proof is Proof.BYTES


async def other_chunk_size(bench: Bench) -> None:
    """complete an image that was registered with another chunk size"""
    data = ascii_art(5 * CHUNK)
    await bench.register(data, chunk_size=2 * CHUNK)
    assert (await bench.upload(data)).proof is Proof.BYTES


async def other_content(bench: Bench) -> None:
    """report that the server has other content under the hash"""
    data = ascii_art(3 * CHUNK)
    other = bench.text(ascii_art(3 * CHUNK, start=b"other"))
    bench.server.hold(other, under=bench.content(data).key, chunk_size=CHUNK)
    with pytest.raises(Permanent, match="has different content under this hash"):
        await bench.upload(data)


async def large_chunks(bench: Bench) -> None:
    """upload in chunks of 48 KiB"""
    bench.remote = bench.make(chunk_size=48 * 1024)
    await bench.upload(ascii_art(100_000))


async def after_large_chunks(bench: Bench) -> None:
    """upload the second file, after chunks of 48 KiB"""
    bench.remote = bench.make(chunk_size=48 * 1024)
    with suppress(Permanent):
        await bench.upload(ascii_art(100_000))
    await bench.upload(ascii_art(100_001))


async def slow_line(bench: Bench) -> None:
    """upload a new file over a connection that is too slow for its chunks"""
    bench.server.cut_over = 2500
    bench.remote = bench.make(chunk_size=8000)
    data = ascii_art(100_000)
    await bench.patiently(data, AdaptiveLimit())
    assert bench.server.images[bench.content(data).key].text == bench.text(data)


async def after_slow_line(bench: Bench) -> None:
    """upload the second file over such a connection"""
    with suppress(CutOff):
        await slow_line(bench)
    cut_off = bench.server.calls["cut off"]
    await bench.upload(ascii_art(100_001))
    assert bench.server.calls["cut off"] == cut_off


async def refused_registration(bench: Bench) -> None:
    """show the server's message"""
    with pytest.raises(Permanent, match="size must be positive"):
        await bench.remote.begin(Content(key="1" * 64, size=0, encoding="text"), Memory(b"a"), None, failures=0)


async def over_4_mib(bench: Bench) -> None:
    """recognise a file of more than 4 MiB that the server has"""
    bench.remote = bench.make(chunk_size=8000)
    data = ascii_art(4 * 1024 * 1024 + 1)
    bench.server.hold(bench.text(data), under=bench.content(data).key, chunk_size=8000)
    assert (await bench.upload(data)).already


async def read_back(bench: Bench) -> None:
    """read back and confirm, and report a missing file"""
    data = ascii_art(3 * CHUNK)
    stored = await bench.upload(data)
    assert await fetched(bench, stored.ref, data) == data
    for thorough in (False, True):
        assert (await bench.remote.confirm(stored.ref, bench.content(data), thorough=thorough)).presence is Presence.YES
    bench.server.images.clear()
    assert (await bench.remote.confirm(stored.ref, bench.content(data))).presence is Presence.NO
    with pytest.raises(NotStored):
        await fetched(bench, stored.ref, data)


async def checked(bench: Bench) -> None:
    """pass a check, which leaves nothing"""
    await bench.remote.check()
    await bench.remote.measure_upload(1024)
    assert not bench.server.images


OPERATIONS: tuple[Callable[[Bench], Awaitable[None]], ...] = (
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
"""By dialect and operation: the failure that is the right end, and what it says."""


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def bench(dialect: str, remote_to: Any) -> AsyncIterator[Bench]:
    server = DIALECTS[dialect]()
    async with serving(server.app) as url:
        yield Bench(
            server, lambda **values: remote_to("image", url, **{"chunk_size": CHUNK, "encoding": "text", **values})
        )


async def fetched(bench: Bench, ref: str, data: bytes) -> bytes:
    """Fetch a file back."""
    taken = bytearray()
    key = await bench.remote.fetch(ref, bench.content(data).key, lambda piece: taken.extend(piece) is None)
    assert key == bench.content(data).key
    return bytes(taken)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_operation(bench: Bench, dialect: str, operation: Callable[[Bench], Awaitable[None]]) -> None:
    if limit := LIMITS.get((dialect, operation.__name__)):
        failure, words = limit
        with pytest.raises(failure, match=words):
            await operation(bench)
    else:
        await operation(bench)


async def test_a_400_to_a_file_that_is_not_about_the_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server rejects because of its content makes no later chunk smaller."""
    read = bench.server._json

    async def read_most(request: web.Request) -> dict[str, Any] | None:
        order = await read(request)
        return None if order is None or "forbidden" in order.get("data", "") else order

    monkeypatch.setattr(bench.server, "_json", read_most)
    with pytest.raises(Permanent):
        await bench.upload(ascii_art(CHUNK, start=b"forbidden"))
    assert bench.remote.capabilities == {}


async def test_fewer_requests_in_flight_come_before_smaller_chunks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.server.cut_over, limit = 2500, AdaptiveLimit()
    bench.remote = bench.make(chunk_size=8000)
    send, sent = bench.remote.send, []

    async def recorded(session: Session, *about: Any) -> ChunkResult:
        sent.append((limit.value, session.chunk_size))
        return await send(session, *about)

    monkeypatch.setattr(bench.remote, "send", recorded)
    with suppress(CutOff):
        await bench.patiently(ascii_art(100_000), limit)
    smaller = [value for value, chunk_size in sent if chunk_size < 8000]
    assert (sent[0], smaller[0]) == ((4, 8000), 1)


async def test_what_a_slow_line_takes_is_kept_and_grows_where_it_is_fast(bench: Bench) -> None:
    with suppress(CutOff):
        await slow_line(bench)
    capabilities = dict(bench.remote.capabilities)
    assert capabilities == {"slow": 2000}
    bench.remote = bench.make(chunk_size=8000)
    bench.remote.restore_capabilities(capabilities)
    bench.server.cut_over = None
    for size, chunk_count, left in ((10_000, 5, {"slow": 4000}), (10_001, 3, {})):
        before = bench.server.calls["chunk"]
        await bench.upload(ascii_art(size))
        assert (bench.server.calls["chunk"] - before, bench.remote.capabilities) == (chunk_count, left)


@pytest.mark.parametrize("dialect", ["documented"], indirect=True)
async def test_a_408_is_a_request_that_was_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_late(request: web.Request) -> None:
        raise web.HTTPRequestTimeout

    monkeypatch.setattr(bench.server, "_keep_to_the_time", too_late)
    with pytest.raises(CutOff):
        await bench.patiently(ascii_art(100_000), AdaptiveLimit(), most=6)
    assert bench.remote.capabilities["slow"] < CHUNK


@pytest.mark.parametrize("dialect", ["omp", "habibeh92", "fatemezak"], indirect=True)
async def test_an_image_of_fixed_chunks_goes_once_the_line_is_better(bench: Bench) -> None:
    with pytest.raises(CutOff):
        await slow_line(bench)
    bench.server.cut_over = None
    data = ascii_art(100_000)
    assert (await bench.upload(data)).proof >= Proof.SIZE
    assert bench.server.images[bench.content(data).key].text == bench.text(data)


@pytest.mark.parametrize("dialect", ["documented", "uploadsvc-go", "ableton", "OMPFinex"], indirect=True)
async def test_a_short_last_chunk_does_not_get_through_alone(bench: Bench) -> None:
    """It would bind the image to the size of the others, which are too large for the line."""
    bench.server.cut_over = 2500
    bench.remote = bench.make(chunk_size=8000)
    data = ascii_art(9000)
    await bench.patiently(data, AdaptiveLimit())
    assert bench.server.images[bench.content(data).key].text == bench.text(data)


async def test_chunks_of_two_sizes_make_no_image(bench: Bench) -> None:
    """Where a chunk has arrived, those that follow keep its size, however often they are cut off."""
    data = ascii_art(100_000)
    bench.remote = bench.make(chunk_size=8000)
    begun = await bench.register(data, chunk_size=8000, sent=[0])
    await bench.store.save_session(1, begun.token, replace(begun, received=ChunkSet([0])))
    bench.server.cut_over = 2500
    with pytest.raises(CutOff):
        await bench.patiently(data, AdaptiveLimit())
    assert bench.remote.capabilities["slow"] < 8000
    bench.server.cut_over = None
    await bench.upload(data)
    assert bench.server.images[begun.token].text == bench.text(data)
    assert bench.server.images[begun.token].accepted == 13


@pytest.mark.parametrize("dialect", ["documented", "uploadsvc-go", "omp", "habibeh92", "fatemezak"], indirect=True)
async def test_a_chunk_whose_answer_was_lost_sets_the_size_too(bench: Bench) -> None:
    """The server has a large chunk, and the client has not heard of it."""
    data = ascii_art(100_000)
    bench.remote = bench.make(chunk_size=8000)
    begun = await bench.register(data, chunk_size=8000, sent=[0])
    await bench.store.save_session(1, begun.token, begun)
    bench.remote.restore_capabilities({"slow": 4000})
    await bench.upload(data)
    assert bench.server.images[begun.token].text == bench.text(data)


def table() -> list[str]:
    """Return the table of dialects and operations as docs/reference/servers.md has it."""
    lines = [f"| Operation | {' | '.join(DIALECTS)} |", "|---" * (len(DIALECTS) + 1) + "|"]
    for operation in OPERATIONS:
        cells = ["no" if (name, operation.__name__) in LIMITS else "yes" for name in DIALECTS]
        lines.append(f"| {operation.__doc__} | {' | '.join(cells)} |")
    return lines


def test_the_document_has_the_table() -> None:
    written = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert written == table()
