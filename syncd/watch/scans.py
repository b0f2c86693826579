"""Scans a folder where events are not enough to keep the records up to date.

Scans are full, below the directories that hints named, or of the gaps: directories without a watch or without read
permission. :class:`syncd.watch.folder.FolderWatch` runs the scans while the folder is present; found files go into the
:class:`syncd.watch.debounce.SettleQueue`. :mod:`syncd.store.files` records the files and recognises renames.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from syncd.config.model import Folder
from syncd.core.model import FoundFile
from syncd.core.text import printable
from syncd.platform.files import from_long_path
from syncd.watch.debounce import SettleQueue
from syncd.watch.events import EventSource
from syncd.watch.hints import MAX_PENDING_FILES
from syncd.watch.kernel_watches import KernelWatches
from syncd.watch.patterns import LeftOut
from syncd.watch.recorded_files import RecordedFiles
from syncd.watch.scanner import Identity, WatchedTree
from syncd.watch.walk import Scan

MIN_POLL_INTERVAL_SECONDS = 2.0
"""Shortest pause between two scans of a folder that is polled."""
MIN_GAP_SCAN_INTERVAL_SECONDS = 5.0
"""Shortest pause between two scans of the directories without events."""
REPORTS_AT_ONCE = 2
"""Batches of found files that are reported at a time: one is checked for writers while the other one is recorded."""
SCAN_PAUSE_FACTOR = 10
"""A pause after a scan lasts at least this many times as long as the scan."""


class FolderOfflineError(Exception):
    """The folder disappeared during a scan. The text is the reason."""


class ScanRunner:
    """Runs the scans of one folder that are due. Belongs to one event loop."""

    def __init__(
        self,
        settings: Folder,
        tree: WatchedTree,
        queue: SettleQueue,
        events: EventSource,
        *,
        clock: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._tree = tree
        self._queue = queue
        self._events = events
        self._clock = clock
        self._log = log
        self._unreadable: dict[str, str] = {}
        self._unwatched: set[str] = set()  # readable directories without events
        self._requested_directories: set[str] = set()
        self._next_full_scan = 0.0
        self._next_gap_scan = 0.0
        self._next_restart = 0.0
        self._scan_seconds = 0.0
        self._scanning_part = False
        self.full_scan_requested = True
        self.scanning = True
        """Whether a full scan runs or has to run before the records are up to date."""
        self.left_out: LeftOut | None = None
        """The files that the patterns leave out, as the last full scan has counted them; None before the first."""
        self.root_with_entries: Identity | None = None
        """The folder in which a scan last found any entry."""

    @property
    def restart_due(self) -> bool:
        """True if it is time to try again to start events that were unavailable."""
        return self._clock() >= self._next_restart

    @property
    def seconds_until_scan(self) -> float:
        """Seconds until the next full scan."""
        return 0.0 if self.full_scan_requested else max(0.0, self._next_full_scan - self._clock())

    def events_restarted(self) -> None:
        """Request a full scan, as events before the restart are lost."""
        self.full_scan_requested = True
        self._next_restart = self._clock() + self._settings.rescan

    def request_scan(self, directories: Iterable[str]) -> None:
        """Request scans at and below these relative paths."""
        self._requested_directories.update(directories)

    @property
    def busy(self) -> bool:
        """True while a requested scan runs or has to run, or a partial scan runs.

        A partial scan covers a part of the folder.
        """
        requested = self.full_scan_requested or bool(self._requested_directories) or self._queue.hints_dropped
        return self.scanning or self._scanning_part or requested

    @property
    def unreadable(self) -> Mapping[str, str]:
        """The reason for each directory that the last scan could not read, by relative path."""
        return self._unreadable

    def unreadable_summary(self) -> str | None:
        """Describe unreadable directories and those without events; None if there are none."""
        parts = []
        if self._unreadable:
            path, reason = next(iter(self._unreadable.items()))
            parts.append(f"{len(self._unreadable)} not readable, such as {printable(path)}: {reason}")
        if self._unwatched:
            first = printable(min(self._unwatched) or ".")
            parts.append(f"{len(self._unwatched)} without events and therefore polled, such as {first}")
        return "; ".join(parts) or None

    async def run_due_scans(self) -> None:
        """Run every scan that is requested or due.

        Raise FolderOfflineError if the folder disappears.
        """
        now = self._clock()
        if self._queue.hints_dropped and len(self._queue) < MAX_PENDING_FILES // 2:
            self._queue.hints_dropped = False
            self.full_scan_requested = True
        if self.full_scan_requested or now >= self._next_full_scan:
            await self.scan_all()
        if self._events.native and now >= self._next_gap_scan:
            await self._scan_gaps()
        for start in _outermost(self._requested_directories):
            self._requested_directories.discard(start)
            await self._scan_below(start)

    async def scan_all(self) -> None:
        """Scan the whole folder. Raise FolderOfflineError if the folder cannot be listed."""
        started = self._clock()
        requested, self.full_scan_requested = self.full_scan_requested, False
        self._requested_directories.clear()
        self.scanning = requested or self._events.native
        recorded = None if self._settings.follow_symlinks else self._queue.start_comparison()
        scan = Scan(self._tree, kernel_watches=await self._events.kernel_watches(), recorded=recorded)
        gone = 0
        try:
            files, changed = await self._add_found(scan, recorded, backlog=requested)
        except OSError as error:
            raise FolderOfflineError(reason_of(error)) from None
        if scan.entries or self.root_with_entries == self._queue.lookup.root:
            # An empty folder may be a mount point whose file system is not mounted: then no file is gone.
            self.root_with_entries = self._queue.lookup.root
            gone = await self._queue.report_missing(candidates=recorded.missing if recorded else None)
        self._log_unreadable(scan)
        self._unreadable = scan.unreadable
        self.left_out = scan.left_out
        if await self._events.watch_links(scan.links):
            self.full_scan_requested = True
        await self._watch_again(scan.unwatched)
        files += recorded.unchanged if recorded else 0
        seconds = self._scan_seconds = self._clock() - started
        self._next_full_scan = self._clock() + (
            self._settings.rescan
            if self._events.native
            else max(MIN_POLL_INTERVAL_SECONDS, SCAN_PAUSE_FACTOR * seconds)
        )
        self.scanning = False
        log = self._log.info if requested or changed or gone else self._log.debug
        log("folder.scanned", files=files, changed=changed, gone=gone, seconds=round(seconds, 3))

    async def _scan_below(self, start: str, *, kernel_watches: KernelWatches | None = None) -> None:
        if self._settings.follow_symlinks:
            self.full_scan_requested = True  # only a full scan finds which of two paths to a directory comes first
            return
        scan = Scan(self._tree, start, kernel_watches=kernel_watches)
        self._scanning_part = True
        try:
            await self._add_found(scan)
        finally:
            self._scanning_part = False
        await self._queue.report_missing(start)
        self._log_unreadable(scan)
        self._unreadable = {path: why for path, why in self._unreadable.items() if not _is_below(path, start)}
        self._unreadable |= scan.unreadable
        await self._watch_again(scan.unwatched, start)

    async def _scan_gaps(self) -> None:
        """Scan the directories that have no watch, and those that could not be read before."""
        self._next_gap_scan = self._clock() + max(MIN_GAP_SCAN_INTERVAL_SECONDS, SCAN_PAUSE_FACTOR * self._scan_seconds)
        starts = _outermost({path for path in (*self._unwatched, *self._unreadable) if path})
        if starts or self._unwatched:
            kernel_watches = await self._events.kernel_watches()
            self.full_scan_requested |= "" in self._unwatched
            for start in starts:
                await self._scan_below(start, kernel_watches=kernel_watches)

    async def _watch_again(self, unwatched: Sequence[str], start: str = "") -> None:
        """Restart the events if directories below ``start`` have no watch.

        Directories that still have none are gaps and are polled.
        """
        kernel_watches = await self._events.kernel_watches()
        if kernel_watches is None:
            self._unwatched = set()
            return
        missing = await asyncio.to_thread(self._tree.unwatched, unwatched, kernel_watches)
        if missing - self._unwatched or (missing and self.restart_due):
            await self._events.start()
            self.events_restarted()
            kernel_watches = await self._events.kernel_watches()
            missing = (
                await asyncio.to_thread(self._tree.unwatched, missing, kernel_watches) if kernel_watches else set()
            )
            if new := missing - self._unwatched:
                self._log.warning("folder.uncovered", directories=len(new), path=printable(min(new) or "."))
        self._unwatched = {path for path in self._unwatched if not _is_below(path, start)} | missing

    async def _add_found(
        self, scan: Scan, recorded: RecordedFiles | None = None, *, backlog: bool = False
    ) -> tuple[int, int]:
        """Walk, and pass the files that the walk finds to the queue.

        Return how many files the walk found, and how many reported files were new or changed.
        While ``REPORTS_AT_ONCE`` batches are reported, the walk looks for the next one.
        """
        files = changed = 0
        reports: deque[asyncio.Task[int]] = deque()
        ahead = asyncio.create_task(_next_batch(scan, recorded))
        try:
            while (batch := await ahead) is not None:
                ahead = asyncio.create_task(_next_batch(scan, recorded))
                if len(reports) == REPORTS_AT_ONCE:
                    changed += await reports[0]
                    reports.popleft()
                if batch:
                    files += len(batch)
                    reports.append(asyncio.create_task(self._queue.add_found(batch, backlog=backlog)))
            changed += sum(await asyncio.gather(*reports))
        finally:
            if recorded:
                recorded.close()
            for task in (ahead, *reports):
                task.cancel()
        return files, changed

    def _log_unreadable(self, scan: Scan) -> None:
        for path, reason in scan.unreadable.items():
            if path not in self._unreadable:
                self._log.warning("folder.unreadable", path=path, reason=reason)


async def _next_batch(scan: Scan, recorded: RecordedFiles | None) -> list[FoundFile] | None:
    if recorded and recorded.needs_page:
        await recorded.load_page()
    return await asyncio.to_thread(scan.next_batch)


def _is_below(path: str, start: str) -> bool:
    return not start or f"{path}/".startswith(f"{start}/")


def _outermost(paths: set[str]) -> list[str]:
    """Return the paths that are not below another one of ``paths``."""
    outer: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not outer or not f"{path}/".startswith(f"{outer[-1]}/"):
            outer.append(path)
    return outer


def reason_of(error: OSError) -> str:
    """Describe an error for a user, with the path that it is about."""
    return f"{error.strerror or error}: {from_long_path(error.filename)}" if error.filename else str(error)
