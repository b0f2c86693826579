"""Watches one configured folder: receives hints, starts scans and reports the status.

Events are only hints; scans and the records decide. Every failure of the events leads to a scan by the
:class:`syncd.watch.scans.ScanRunner`.

Rename detection: :mod:`syncd.watch.observer` adds the former path to the hint of a rename. The records find out which
recorded file was renamed; the daemon's implementation uses ``observe`` in :mod:`syncd.store.files`.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import structlog
from structlog.typing import FilteringBoundLogger

from syncd.asyncio_tools import until_next
from syncd.config.model import Folder
from syncd.core.settle import Hint
from syncd.core.states import IN_USE
from syncd.core.text import printable
from syncd.watch.debounce import SettleQueue
from syncd.watch.events import EventSource
from syncd.watch.file_records import FileRecords
from syncd.watch.hints import HintBuffer
from syncd.watch.patterns import LeftOut
from syncd.watch.scanner import Identity, WatchedTree
from syncd.watch.scans import FolderOfflineError, ScanRunner, reason_of

CHECK_INTERVAL_SECONDS = 2.0
"""Pause between two checks that the folder is present and its events still arrive."""
MAX_WAIT_IN_SETTLE_TIMES = 10
"""``scan_once`` waits up to this many settle times for files that keep changing."""

NOT_QUIET = "still being written, or was a moment ago"


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderStatus:
    """The state of a folder.

    ``detail`` names a problem and its fix, if there is a problem.

    ``left_out`` counts the files that the patterns leave out; None before the first scan.
    """

    state: Literal["watching", "scanning", "offline"]
    watch: Literal["native", "poll"]
    detail: str | None = None
    left_out: LeftOut | None = None


class FolderWatch:
    """Reports new, changed and gone files of one folder to ``records``.

    Belongs to one event loop. ``clock`` is monotonic, ``wall`` is the clock of the files' mtimes; both in seconds.
    """

    def __init__(
        self,
        settings: Folder,
        records: FileRecords,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._settings = settings
        self._log: FilteringBoundLogger = (log or structlog.get_logger()).bind(folder=settings.path)
        self._tree = WatchedTree.of(settings)
        self._hints = HintBuffer(self._drain_hints)
        self._queue = SettleQueue(self._tree, records, settle=settings.settle, clock=clock, wall=wall, log=self._log)
        self._events = EventSource(self._tree, settings.watch, hints=self._hints, log=self._log)
        self._scan_runner = ScanRunner(settings, self._tree, self._queue, self._events, clock=clock, log=self._log)
        self._wake = asyncio.Event()
        self._offline_reason: str | None = None

    @property
    def status(self) -> FolderStatus:
        """The current state of the folder."""
        watch: Literal["native", "poll"] = "native" if self._events.native else "poll"
        if self._offline_reason:
            return FolderStatus(
                state="offline", watch=watch, detail=self._offline_reason, left_out=self._scan_runner.left_out
            )
        detail = self._events.polling_reason or self._scan_runner.unreadable_summary() or self._in_use_summary()
        return FolderStatus(
            state="scanning" if self._scan_runner.scanning else "watching",
            watch=watch,
            detail=detail,
            left_out=self._scan_runner.left_out,
        )

    def matches(self, path: str) -> bool:
        """Return whether a file at the relative ``path`` would be uploaded, by its path alone."""
        return self._tree.matches(path)

    def is_present(self) -> bool:
        """Return whether the folder at the path is the watched folder. Blocks."""
        return self._queue.lookup.root_is_unchanged()

    def settling(self, path: str) -> bool:
        """Return whether the file at the relative ``path`` waits until it is quiet."""
        return path in self._queue

    def in_use(self, path: str) -> bool:
        """Return whether the file at the relative ``path`` waits for a program that writes to it."""
        return path in self._queue.in_use

    @property
    def settling_count(self) -> int:
        """The number of files that are not reported yet."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Return whether work of the folder remains; False while offline.

        That is so if files are not reported yet, or if a scan can find some soon.
        """
        return self._offline_reason is None and (len(self._queue) > 0 or self._scan_runner.busy)

    def unsettled(self) -> dict[str, str]:
        """Return the relative path of each file that is not reported yet, with the reason."""
        return {path: IN_USE if path in self._queue.in_use else NOT_QUIET for path in self._queue}

    def unscanned(self) -> dict[str, str]:
        """Return the reason for each directory that could not be scanned, by relative path.

        The path of the folder itself is an empty text.
        """
        return {"": self._offline_reason} if self._offline_reason else dict(self._scan_runner.unreadable)

    def request_rescan(self, path: str | None = None) -> None:
        """Request a scan of the whole folder, or of ``path`` and everything below.

        ``path`` is relative or absolute.
        """
        if path and not _is_possible_path(path):
            return
        relative = self._tree.relative(os.path.join(self._tree.root, path)) if path else ""
        if relative:
            self._scan_runner.request_scan([relative])
            # A file that already waits is not hinted again: frequent requests would postpone it forever.
            if self._tree.matches(relative) and not self.settling(relative):
                self._queue.add_hint(relative, Hint())
        elif relative is not None:
            self._scan_runner.full_scan_requested = True
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled. While the folder is absent, wait for it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._queue.run())
                tasks.create_task(self._supervise())
        finally:
            await self._events.stop()

    async def scan_once(self) -> bool:
        """Scan the whole folder and wait until its files are quiet and reported.

        The wait for a file that keeps changing is limited. Return False if the folder is offline.
        """
        try:
            self._queue.lookup.root = await asyncio.to_thread(self._tree.identity)
        except OSError as error:
            self._go_offline(reason_of(error))
            return False
        reporting = asyncio.create_task(self._queue.run())
        try:
            try:
                await self._scan_runner.scan_all()
            except FolderOfflineError as error:
                self._go_offline(str(error))
            left = await self._queue.wait_until_empty(max(1.0, self._settings.settle * MAX_WAIT_IN_SETTLE_TIMES))
        finally:
            reporting.cancel()
            with suppress(asyncio.CancelledError):
                await reporting
        if left:
            self._log.warning("folder.unsettled", files=left)
        return self._offline_reason is None

    async def _supervise(self) -> None:
        while True:
            if await self._ensure_watching():
                await self._run_scans()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds()):
                    await self._wake.wait()
            self._wake.clear()

    def _pause_seconds(self) -> float:
        pause = until_next(CHECK_INTERVAL_SECONDS)
        return pause if self._offline_reason else min(pause, self._scan_runner.seconds_until_scan)

    def _drain_hints(self) -> None:
        hints = self._hints.drain()
        for path, hint in hints.files.items():
            self._queue.add_hint(path, hint)
        self._scan_runner.request_scan(hints.directories)
        self._scan_runner.full_scan_requested |= hints.rescan_needed
        if hints.overflow:
            self._log.warning("folder.overflow")
        if hints.directories or hints.rescan_needed:
            self._wake.set()

    async def _ensure_watching(self) -> bool:
        """Return whether the folder is present.

        Start watching the folder if it is new or its events have stopped.
        """
        known = self._scan_runner.root_with_entries
        try:
            identity = await asyncio.to_thread(self._tree.identity)
            if identity == self._queue.lookup.root and self._events.healthy:
                return True
            if known and identity[0] != known[0] and await asyncio.to_thread(_is_empty, self._tree.root):
                self._go_offline("it is empty and no longer on the same device; is its file system mounted?")
                return False
        except OSError as error:
            self._go_offline(reason_of(error))
            return False
        await self._start_watching(identity)
        return True

    async def _start_watching(self, identity: Identity) -> None:
        await self._events.start()
        self._queue.mtime_tick = await asyncio.to_thread(self._tree.mtime_tick)
        self._queue.lookup.root = identity
        self._scan_runner.events_restarted()
        if self._offline_reason:
            self._offline_reason = None
            self._log.info("folder.online")
        if self._events.polling_reason is None:
            self._log.info("folder.watching", watch=self.status.watch)

    def _go_offline(self, reason: str) -> None:
        if self._offline_reason != reason:
            self._log.warning("folder.offline", reason=reason)
        self._offline_reason = reason
        self._queue.lookup.root = None  # from now on, a file that is not found does not count as gone

    async def _run_scans(self) -> None:
        self._scan_runner.full_scan_requested |= await self._events.check_coverage()
        if self._events.polling_reason and self._scan_runner.restart_due and self._queue.lookup.root:
            await self._start_watching(self._queue.lookup.root)  # events may be possible by now
        try:
            await self._scan_runner.run_due_scans()
        except FolderOfflineError as error:
            self._go_offline(str(error))

    def _in_use_summary(self) -> str | None:
        first = next(iter(self._queue.in_use), None)
        if first is None:
            return None
        count = len(self._queue.in_use)
        return f"{count} {IN_USE}, such as {printable(first)}: uploaded after that program closes them"


def _is_possible_path(path: str) -> bool:
    with suppress(UnicodeEncodeError):
        return b"\0" not in os.fsencode(path)
    return False


def _is_empty(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None
