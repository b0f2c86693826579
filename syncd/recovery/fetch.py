"""Downloads uploaded files again, with retries.

Used by :mod:`~syncd.recovery.verify` and :mod:`~syncd.recovery.restore`. :func:`open_fetch_session` opens the store and
the servers; :class:`FetchProgress` counts the downloads.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd import __version__, localtime
from syncd.asyncio_tools import background_task
from syncd.config import destinations
from syncd.config.model import Config
from syncd.core import retry
from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.progress import FileProgress, WorkProgress
from syncd.core.text import printable
from syncd.paths import inside
from syncd.platform.file_info import on_disk_case
from syncd.remotes.base import Remote, WriteCallback
from syncd.remotes.factory import make_remote
from syncd.store.copies import Copy, CopyIndex, PathScope
from syncd.upload.throttle import BandwidthLimiter, Meter

DEFAULT_CONCURRENCY = 8
"""Files that are downloaded at a time, unless ``scheduler.concurrency`` is a number."""
MAX_ATTEMPTS = 4
"""Attempts per file. If the last one fails because of the server as a whole, no more requests go to the server."""
MAX_PAUSE_SECONDS = 30.0
"""Longest pause between two attempts, even if the server asks for a longer one."""
PROGRESS_INTERVAL_SECONDS = 0.2


class NotWatchedError(Exception):
    """A path is not below a watched folder; ``str()`` is one line that says so."""


class FetchServer:
    """A remote to download from; ``down`` is the failure that ended its use."""

    def __init__(self, name: str, remote: Remote) -> None:
        self.name = name
        self.remote = remote
        self.down: Failure | None = None

    async def fetch(self, copy: Copy, make_sink: Callable[[], WriteCallback], policy: retry.Policy) -> bool:
        """Download ``copy`` into a fresh sink from ``make_sink()`` for each attempt.

        Return True if the key of the received bytes is that of the uploaded content. Raises a Failure after
        :data:`MAX_ATTEMPTS` attempts, or at once if the server is down.
        """
        failures = 0
        while True:
            if self.down:
                raise self.down
            try:
                return await self.remote.fetch(copy.ref, copy.key, make_sink()) == copy.key
            except Unauthorized as failure:
                self.down = failure
                raise
            except Transient as failure:
                failures += 1
                if failures >= MAX_ATTEMPTS:
                    self.down = failure if failure.scope is Scope.REMOTE else self.down
                    raise
                pause = retry.backoff(failures, policy, random.random) + (failure.retry_after or 0.0)
            await asyncio.sleep(min(pause, MAX_PAUSE_SECONDS))


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchSession:
    """The open store, and the servers that hold copies, by their remote id in the store."""

    config: Config
    copy_index: CopyIndex
    servers: dict[int, FetchServer]

    @property
    def concurrency(self) -> int:
        """The number of files to download at a time."""
        return self.config.scheduler.concurrency or DEFAULT_CONCURRENCY

    async def fetch(self, copy: Copy, make_sink: Callable[[], WriteCallback]) -> bool:
        """Download ``copy`` from its server, see :meth:`FetchServer.fetch`."""
        waits = self.config.scheduler.retry
        policy = retry.Policy(initial=waits.initial, maximum=waits.max)
        return await self.servers[copy.remote_id].fetch(copy, make_sink, policy)


@asynccontextmanager
async def open_fetch_session(config: Config) -> AsyncGenerator[FetchSession]:
    """Open the store read-only, and a client for each remote.

    StoreError if the store cannot be read.
    """
    copy_index = await CopyIndex.open(str(config.store))
    # Required by make_remote, but nothing is uploaded: no limit applies.
    bandwidth_limiter = BandwidthLimiter((), clock=time.monotonic, local_time=localtime.now)
    remotes = []
    try:
        servers = {}
        for name, settings in config.remotes.items():
            remote = make_remote(
                name, settings, throttle=bandwidth_limiter, clock=time.time, user_agent=f"syncd/{__version__}"
            )
            remotes.append(remote)
            remote_id = await copy_index.remote_id(remote.identity, destinations.former(name, settings))
            if remote_id is not None:
                servers[remote_id] = FetchServer(name, remote)
        yield FetchSession(config=config, copy_index=copy_index, servers=servers)
    finally:
        for remote in remotes:
            await remote.close()
        await copy_index.close()


def find_scopes(config: Config, paths: Sequence[str]) -> list[PathScope]:
    """Return the parts of the folders that the absolute ``paths`` select, without overlaps.

    Without ``paths``: all folders. Raises :class:`NotWatchedError`.
    """
    folders = [os.fspath(folder.path) for folder in config.folders]
    if not paths:
        return [PathScope(folder=folder) for folder in folders]
    selected: list[PathScope] = []
    for path in sorted(paths):  # a directory comes before the paths below it
        matches = [
            PathScope(folder=folder, path=on_disk_case(folder, relative) or relative if relative else None)
            for folder in folders
            if (relative := inside(folder, path)) is not None
        ]
        if not matches:
            raise NotWatchedError(f"{printable(path)} is in none of the watched folders")
        selected += [match for match in matches if not any(_covers(other, match) for other in selected)]
    return selected


def _covers(other: PathScope, scope: PathScope) -> bool:
    if other.folder != scope.folder:
        return False
    return other.path is None or (scope.path is not None and f"{scope.path}/".startswith(f"{other.path}/"))


@dataclass(kw_only=True, slots=True)
class Download:
    """A file that is being downloaded; ``size`` and ``received`` in bytes."""

    path: str
    remote: str
    size: int
    received: int = 0


class FetchProgress:
    """Counts the downloads of ``count`` files with ``size`` bytes in total."""

    def __init__(self, count: int, size: int) -> None:
        self.started = time.monotonic()
        self.meter = Meter(time.monotonic)
        self.done = self.bad = 0
        self._left = count
        self._pending = size
        self._downloads: list[Download] = []

    def begin(self, download: Download) -> None:
        """Add a download to those in progress."""
        self._downloads.append(download)

    def received(self, download: Download, size: int) -> None:
        """Count ``size`` bytes that have arrived."""
        download.received += size
        self.meter.count(size)

    def end(self, download: Download) -> None:
        """Remove a download from those in progress, whether it succeeded or not."""
        self._downloads.remove(download)

    def count(self, size: int, *, good: bool) -> None:
        """Count one of the ``count`` files, of ``size`` bytes, as finished."""
        self.done += good
        self.bad += not good
        self._left -= 1
        self._pending -= size

    def snapshot(self) -> WorkProgress:
        """Return the progress so far."""
        downloads = list(self._downloads)
        return WorkProgress(
            done=self.done,
            left=max(0, self._left),
            failed=self.bad,
            pending=max(0, self._pending - sum(download.received for download in downloads)),
            per_second=self.meter.rate(),
            files=[
                FileProgress(
                    name=printable(os.path.basename(download.path)),
                    label=download.remote,
                    size=download.size,
                    sent=download.received,
                )
                for download in downloads
            ],
        )

    @asynccontextmanager
    async def reporting(self, report: Callable[[WorkProgress], None] | None) -> AsyncGenerator[None]:
        """Call ``report`` with snapshots during the context and at its end.

        The interval is :data:`PROGRESS_INTERVAL_SECONDS`.
        """
        if report is None:
            yield
            return
        async with background_task(self._report_loop(report)):
            yield
        report(self.snapshot())

    async def _report_loop(self, report: Callable[[WorkProgress], None]) -> None:
        while True:
            report(self.snapshot())
            await asyncio.sleep(PROGRESS_INTERVAL_SECONDS)
