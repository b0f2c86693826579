"""Fetching back what was uploaded: which servers have what, and asking them with patience. For verify and restore."""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from syncd import __version__, localtime
from syncd.config import destinations
from syncd.config.model import Config
from syncd.core import retry
from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.text import printable
from syncd.paths import inside
from syncd.platform.case import spelled
from syncd.remotes.base import Remote, Taker
from syncd.remotes.factory import make_remote
from syncd.store.copies import Copy, CopyIndex, PathScope
from syncd.upload.throttle import BandwidthLimiter, Meter

T = TypeVar("T")

AT_ONCE = 8
"""Files that are fetched at a time, unless ``scheduler.concurrency`` says it."""
PATIENCE = 4
"""So many tries has a file; after so many failures of a server as a whole, it is not asked any more."""
LONGEST_PAUSE = 30.0
"""Seconds; a server that asks for more is tried again all the same."""
LOOK = 0.2
"""Seconds between two looks at how far it is."""


class NotWatchedError(Exception):
    """A path is in none of the watched folders; ``str()`` is one line that says so."""


class FetchServer:
    """A remote, and why it is not asked any more."""

    def __init__(self, name: str, remote: Remote) -> None:
        self.name = name
        self.remote = remote
        self.down: Failure | None = None

    async def fetch(self, copy: Copy, begin: Callable[[], Taker], policy: retry.Policy) -> bool:
        """Have what ``begin`` returns, once a try, take the file; say whether it is the one that was uploaded."""
        failures = 0
        while True:
            if self.down:
                raise self.down
            try:
                return await self.remote.fetch(copy.ref, copy.key, begin()) == copy.key
            except Unauthorized as failure:
                self.down = failure
                raise
            except Transient as failure:
                failures += 1
                if failures >= PATIENCE:
                    self.down = failure if failure.scope is Scope.REMOTE else self.down
                    raise
                pause = retry.backoff(failures, policy, random.random) + (failure.retry_after or 0.0)
            await asyncio.sleep(min(pause, LONGEST_PAUSE))


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSession:
    """What is open while copies are fetched: the store, and the servers that have something, by their number in it."""

    config: Config
    copy_index: CopyIndex
    servers: dict[int, FetchServer]

    @property
    def at_once(self) -> int:
        """Files that are fetched at a time."""
        return self.config.scheduler.concurrency or AT_ONCE

    async def fetch(self, copy: Copy, begin: Callable[[], Taker]) -> bool:
        """As :meth:`FetchServer.fetch`."""
        waits = self.config.scheduler.retry
        policy = retry.Policy(initial=waits.initial, maximum=waits.max)
        return await self.servers[copy.remote_id].fetch(copy, begin, policy)


@asynccontextmanager
async def open_fetch_session(config: Config) -> AsyncGenerator[FetchSession]:
    """Open the store for reading, and the ways to the servers; StoreError if the store can't be read."""
    copy_index = await CopyIndex.open(str(config.store))
    bandwidth_limiter = BandwidthLimiter(
        (), clock=time.monotonic, local_time=localtime.now
    )  # nothing but questions is sent
    made = []
    try:
        servers = {}
        for name, settings in config.remotes.items():
            remote = make_remote(
                name, settings, throttle=bandwidth_limiter, clock=time.time, user_agent=f"syncd/{__version__}"
            )
            made.append(remote)
            number = await copy_index.remote_id(remote.identity, destinations.former(name, settings))
            if number is not None:
                servers[number] = FetchServer(name, remote)
        yield FetchSession(config=config, copy_index=copy_index, servers=servers)
    finally:
        for remote in made:
            await remote.close()
        await copy_index.close()


def places(config: Config, paths: Sequence[str]) -> list[PathScope]:
    """Return where in the watched folders the absolute ``paths`` are, none within another; all folders without any.

    :class:`NotWatchedError`.
    """
    folders = [os.fspath(folder.path) for folder in config.folders]
    if not paths:
        return [PathScope(folder=folder) for folder in folders]
    named: list[PathScope] = []
    for path in sorted(paths):  # what is within another comes after it
        at = [
            PathScope(folder=folder, path=spelled(folder, relative) or relative if relative else None)
            for folder in folders
            if (relative := inside(folder, path)) is not None
        ]
        if not at:
            raise NotWatchedError(f"{printable(path)} is in none of the watched folders")
        named += [place for place in at if not any(_covers(other, place) for other in named)]
    return named


def _covers(other: PathScope, place: PathScope) -> bool:
    if other.folder != place.folder:
        return False
    return other.path is None or (place.path is not None and f"{place.path}/".startswith(f"{other.path}/"))


@dataclass(kw_only=True, slots=True)
class Flight:
    """A file on its way back. Sizes in bytes."""

    path: str
    remote: str
    size: int
    got: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """How far it is. Sizes in bytes."""

    done: int
    left: int
    bad: int
    pending: int
    per_second: float
    in_flight: list[Flight]


class FetchProgress:
    """Counts what is fetched, for people who look on and for the report."""

    def __init__(self, count: int, size: int) -> None:
        self.started = time.monotonic()
        self.meter = Meter(time.monotonic)
        self.done = self.bad = 0
        self._left = count
        self._pending = size
        self._in_flight: list[Flight] = []

    def begin(self, flight: Flight) -> None:
        """Take note of a file that is being fetched."""
        self._in_flight.append(flight)

    def got(self, flight: Flight, size: int) -> None:
        """Take note of bytes that have come."""
        flight.got += size
        self.meter.count(size)

    def end(self, flight: Flight) -> None:
        """Take note that a file is fetched no longer, whatever became of it."""
        self._in_flight.remove(flight)

    def count(self, size: int, *, good: bool) -> None:
        """Take note of the end of one of those that were counted before."""
        self.done += good
        self.bad += not good
        self._left -= 1
        self._pending -= size

    def snapshot(self) -> Snapshot:
        """Return how far it is."""
        flights = list(self._in_flight)
        return Snapshot(
            done=self.done,
            left=max(0, self._left),
            bad=self.bad,
            pending=max(0, self._pending - sum(flight.got for flight in flights)),
            per_second=self.meter.rate(),
            in_flight=flights,
        )

    @asynccontextmanager
    async def shown(self, show: Callable[[Snapshot], None] | None) -> AsyncGenerator[None]:
        """Show how far it is as long as the context lasts, and at its end."""
        if show is None:
            yield
            return
        telling = asyncio.create_task(self._tell(show))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        show(self.snapshot())

    async def _tell(self, show: Callable[[Snapshot], None]) -> None:
        while True:
            show(self.snapshot())
            await asyncio.sleep(LOOK)


async def for_each(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do ``work`` on each of ``items``, a few at a time; the first error ends it all."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        try:
            await work(item)
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await slots.acquire()
                group.create_task(one(item))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
