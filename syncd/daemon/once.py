"""A single pass: scan the folders, upload all that is due, and stop. What ``syncd once`` runs."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from syncd.config.model import Config
from syncd.core.names import displayed
from syncd.core.states import Cause, Outcome, State
from syncd.daemon.aftermath import Aftermath
from syncd.daemon.rooms import Rooms, open_rooms
from syncd.engine.lane import RemoteState
from syncd.engine.upload import Progress
from syncd.store.jobs import Change

log = structlog.get_logger()

PATIENCE = 4
"""So many tries of a file, or probes of a server, and a single pass leaves it for the next one."""
LOOK = 0.2
"""Seconds between two looks at how far it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """How far a pass is. Sizes in bytes."""

    scanning: bool
    files_done: int
    files_left: int
    files_failed: int
    sent: int
    pending: int
    per_second: float
    in_flight: list[Progress]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A file that did not arrive."""

    path: str
    remote: str
    state: str
    detail: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a pass did. Files are counted once for each remote."""

    uploaded: int
    duplicate: int
    skipped: int
    unchanged: int
    problems: list[Problem] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    sent: int
    seconds: float


async def once(config: Config, *, on_progress: Callable[[Snapshot], None] | None = None) -> Summary:
    """Bring every file of the watched folders to its remotes; StoreError if the store can't be used."""
    loop = asyncio.get_running_loop()
    dead: asyncio.Future[None] = loop.create_future()

    def failed(error: BaseException) -> None:
        if not dead.done():
            dead.set_exception(error)

    async with open_rooms(config, failed=failed) as rooms:
        work = asyncio.create_task(_Pass(rooms, on_progress).run())
        try:
            await asyncio.wait({work, dead}, return_when=asyncio.FIRST_COMPLETED)
            if dead.done():
                dead.result()
            return await work
        finally:
            dead.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


class _Pass:
    """One pass, and what it counted."""

    def __init__(self, rooms: Rooms, on_progress: Callable[[Snapshot], None] | None) -> None:
        self._rooms = rooms
        self._on_progress = on_progress or (lambda _: None)
        self._started = time.monotonic()
        self._ends: Counter[str] = Counter()
        self._deferred: Counter[int] = Counter()
        self._scanning = True
        rooms.store.on_change.append(self._count)

    def _count(self, change: Change) -> None:
        if change.after is State.DONE:
            self._ends[str(change.outcome)] += 1
        elif change.after in (State.SKIPPED, State.FAILED):
            self._ends[change.after] += 1
        if change.cause is Cause.DEFERRED:
            self._deferred[change.job_id] += 1

    async def run(self) -> Summary:
        rooms = self._rooms
        before = await rooms.store.counts(rooms.remote_ids.values())
        watching = asyncio.create_task(self._report())
        try:
            rooms.scheduler.start()
            for watch in rooms.folders.watches.values():
                await watch.scan_once()
            self._scanning = False
            while await self._unfinished():
                await asyncio.sleep(LOOK)
            await Aftermath(rooms).sweep()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._show()
        return await self._summary(before.done)
