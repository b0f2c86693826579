"""One configured folder: hears the hints, scans where they may not tell all, and knows how it stands.

Events are hints; the truth is the scan and the sink. Whatever goes wrong with the events leads to a scan.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import structlog
from structlog.typing import FilteringBoundLogger

from syncd.config.model import Folder
from syncd.core.model import FoundFile
from syncd.core.settle import Hint
from syncd.core.states import IN_USE
from syncd.core.text import printable
from syncd.platform.open_flags import usual
from syncd.watch.coverage import Coverage
from syncd.watch.debounce import LIMIT, Intake
from syncd.watch.events import Source
from syncd.watch.scanner import Identity, Scan, Tree
from syncd.watch.sink import Sink

SUPERVISE = 2.0
"""Seconds between two looks at whether the folder is still there and its events still come."""
POLL = 2.0
"""Least seconds between two scans of a folder that is polled."""
LOOK = 5.0
"""Seconds between two looks into directories that no event tells of."""
POLL_SHARE = 10
"""A scan that took long is followed by a pause so many times as long."""
PATIENCE = 10
"""``scan_once`` waits so many quiet times for files that keep changing."""

RESTLESS = "still being written, or was a moment ago"


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderStatus:
    """How a folder stands. ``detail`` says what is wrong and what to do about it, if anything is."""

    state: Literal["watching", "scanning", "offline"]
    watch: Literal["native", "poll"]
    detail: str | None = None


class FolderWatch:
    """Finds what is new in one folder and hands it to ``sink``. Belongs to one event loop.

    ``clock`` is monotonic, ``wall`` is the time that files are stamped with; both in seconds.
    """

    def __init__(
        self,
        settings: Folder,
        sink: Sink,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log: FilteringBoundLogger = (log or structlog.get_logger()).bind(folder=settings.path)
        self._tree = Tree.of(settings)
        self._intake = Intake(self._tree, sink, settle=settings.settle, clock=clock, wall=wall, log=self._log)
        self._source = Source(self._tree, settings.watch, wake=self._hear, log=self._log)
        self._wake = asyncio.Event()
        self._filled: Identity | None = None  # the folder in which a scan last saw anything at all
        self._offline: str | None = None
        self._unreadable: dict[str, str] = {}
        self._uncovered: set[str] = set()  # directories that no event tells of, although they can be read
        self._next_look = 0.0
        self._scan_seconds = 0.0
        self._scanning = True
        self._everything = True
        self._subtrees: set[str] = set()
        self._next_scan = 0.0
        self._next_arming = 0.0

    @property
    def status(self) -> FolderStatus:
        """How the folder stands now."""
        watch: Literal["native", "poll"] = "native" if self._source.native else "poll"
        if self._offline:
            return FolderStatus(state="offline", watch=watch, detail=self._offline)
        state: Literal["scanning", "watching"] = "scanning" if self._scanning else "watching"
        return FolderStatus(state=state, watch=watch, detail=self._source.detail or self._gaps() or self._writers())

    def takes(self, path: str) -> bool:
        """Say whether a file at ``path`` (relative) would be uploaded, by its name and place."""
        return self._tree.takes(path)

    def settling(self, path: str) -> bool:
        """Say whether the file at ``path`` (relative) is being waited for until it is quiet."""
        return path in self._intake

    def in_use(self, path: str) -> bool:
        """Say whether the file at ``path`` (relative) is not taken because a program has it open for writing."""
        return path in self._intake.in_use

    def unsettled(self) -> dict[str, str]:
        """Return the files that are not taken yet (relative), and why."""
        return {path: IN_USE if path in self._intake.in_use else RESTLESS for path in self._intake}

    def request_rescan(self, path: str | None = None) -> None:
        """Have all of the folder scanned soon, or what is at and below ``path``, relative or absolute."""
        if path and not _can_be(path):
            return
        inside = self._tree.relative(os.path.join(self._tree.root, path)) if path else ""
        if inside:
            self._subtrees.add(inside)
            if self._tree.takes(inside) and not self.settling(inside):  # else whoever asks often has it wait for ever
                self._intake.hint(inside, Hint())
        elif inside is not None:
            self._everything = True
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled. A folder that is not there is waited for."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._intake.run())
                tasks.create_task(self._supervise())
        finally:
            await self._source.disarm()

    async def scan_once(self) -> bool:
        """Scan all, wait for files to become quiet and return when they were handed over; False if offline.

        A file that keeps changing is left in the end.
        """
        try:
            self._intake.root = await asyncio.to_thread(self._tree.identity)
        except OSError as error:
            self._leave(_reason(error))
            return False
        taker = asyncio.create_task(self._intake.run())
        try:
            await self._scan_all()
            left = await self._intake.idle(max(1.0, self._settings.settle * PATIENCE))
        finally:
            taker.cancel()
            with suppress(asyncio.CancelledError):
                await taker
        if left:
            self._log.warning("folder.unsettled", files=left)
        return self._offline is None

    async def _supervise(self) -> None:
        while True:
            if await self._present():
                await self._work()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()

    def _pause(self) -> float:
        if self._offline:
            return SUPERVISE
        return 0.0 if self._everything else min(SUPERVISE, max(0.0, self._next_scan - self._clock()))

    def _hear(self) -> None:
        hints = self._source.take()
        for path, hint in hints.files.items():
            self._intake.hint(path, hint)
        self._subtrees |= hints.directories
        self._everything |= hints.doubt
        if hints.overflow:
            self._log.warning("folder.overflow")
        if hints.directories or hints.doubt:
            self._wake.set()

    async def _present(self) -> bool:
        """Say whether the folder is there and watched, after seeing to it."""
        try:
            identity = await asyncio.to_thread(self._tree.identity)
            if identity == self._intake.root and self._source.sound:
                return True
            if self._filled and identity[0] != self._filled[0] and await asyncio.to_thread(_is_empty, self._tree.root):
                self._leave("it is empty and no longer on the same device; is its file system mounted?")
                return False
        except OSError as error:
            self._leave(_reason(error))
            return False
        await self._arm(identity)
        return True

    def _leave(self, reason: str) -> None:
        if self._offline != reason:
            self._log.warning("folder.offline", reason=reason)
        self._offline = reason
        self._intake.root = None  # from now on a missing file proves nothing

    async def _arm(self, identity: Identity) -> None:
        await self._source.arm()
        self._intake.root = identity
        self._everything = True
        self._next_arming = self._clock() + self._settings.rescan
        if self._offline:
            self._offline = None
            self._log.info("folder.back")
        if self._source.native or self._source.detail is None:
            self._log.info("folder.watching", watch=self.status.watch)

    async def _work(self) -> None:
        self._everything |= await self._source.review()
        now = self._clock()
        if self._source.detail and now >= self._next_arming and self._intake.root:
            await self._arm(self._intake.root)  # what was in the way may be gone
        if self._intake.missed and len(self._intake) < LIMIT // 2:
            self._intake.missed = False
            self._everything = True
        if self._everything or now >= self._next_scan:
            await self._scan_all()
        if self._source.native and now >= self._next_look:
            await self._look_at_gaps()
        for start in _outermost(self._subtrees):
            self._subtrees.discard(start)
            await self._scan_below(start)

    async def _scan_all(self) -> None:
        started = self._clock()
        asked, self._everything = self._everything, False
        self._subtrees.clear()
        self._scanning = asked or self._source.native
        scan = Scan(self._tree, coverage=await self._source.coverage())
        files = changed = gone = 0
        try:
            async for batch in _batches(scan):
                files += len(batch)
                changed += await self._intake.found(batch)
        except OSError as error:
            self._leave(_reason(error))
            return
        if scan.entries or self._filled == self._intake.root:
            # A folder without anything in it may be a mount point whose file system is missing.
            self._filled = self._intake.root
            gone = await self._intake.sweep()
        self._report(scan)
        self._unreadable = scan.unreadable
        if await self._source.follow(scan.links):
            self._everything = True
        await self._cover(scan.uncovered)
        seconds = self._scan_seconds = self._clock() - started
        self._next_scan = self._clock() + (
            self._settings.rescan if self._source.native else max(POLL, POLL_SHARE * seconds)
        )
        self._scanning = False
        log = self._log.info if asked or changed or gone else self._log.debug
        log("folder.scanned", files=files, changed=changed, gone=gone, seconds=round(seconds, 3))

    async def _scan_below(self, start: str, *, coverage: Coverage | None = None) -> None:
        if self._settings.follow_symlinks:
            self._everything = True  # which of two ways leads to a directory, only a full scan can tell
            return
        scan = Scan(self._tree, start, coverage=coverage)
        async for batch in _batches(scan):
            await self._intake.found(batch)
        await self._intake.sweep(start)
        self._report(scan)
        self._unreadable = {path: why for path, why in self._unreadable.items() if not _is_below(path, start)}
        self._unreadable |= scan.unreadable
        await self._cover(scan.uncovered, start)

    async def _cover(self, uncovered: Sequence[str], start: str = "") -> None:
        """Have all directories watched anew if some below ``start`` are not; those that still are not are polled."""
        coverage = await self._source.coverage()
        if coverage is None:
            self._uncovered = set()
            return
        missing = await asyncio.to_thread(self._tree.uncovered, uncovered, coverage)
        if missing - self._uncovered or (missing and self._clock() >= self._next_arming):
            await self._source.arm()
            self._next_arming = self._clock() + self._settings.rescan
            self._everything = True  # what came in between nobody has told
            coverage = await self._source.coverage()
            missing = await asyncio.to_thread(self._tree.uncovered, missing, coverage) if coverage else set()
            if new := missing - self._uncovered:
                self._log.warning("folder.uncovered", directories=len(new), path=printable(min(new) or "."))
        self._uncovered = {path for path in self._uncovered if not _is_below(path, start)} | missing

    async def _look_at_gaps(self) -> None:
        """Scan what no event tells of: directories without a watch, and those that could not be read before."""
        self._next_look = self._clock() + max(LOOK, POLL_SHARE * self._scan_seconds)
        starts = _outermost({path for path in (*self._uncovered, *self._unreadable) if path})
        if starts or self._uncovered:
            coverage = await self._source.coverage()
            self._everything |= "" in self._uncovered
            for start in starts:
                await self._scan_below(start, coverage=coverage)

    def _report(self, scan: Scan) -> None:
        for path, reason in scan.unreadable.items():
            if path not in self._unreadable:
                self._log.warning("scan.unreadable", path=path, reason=reason)

    def _gaps(self) -> str | None:
        """Say which parts can't be read, and which no event tells of."""
        gaps = []
        if self._unreadable:
            path, reason = next(iter(self._unreadable.items()))
            gaps.append(f"{len(self._unreadable)} not readable, such as {printable(path)}: {reason}")
        if self._uncovered:
            first = printable(min(self._uncovered) or ".")
            gaps.append(f"{len(self._uncovered)} without events and therefore polled, such as {first}")
        return "; ".join(gaps) or None

    def _writers(self) -> str | None:
        first = next(iter(self._intake.in_use), None)
        if first is None:
            return None
        return f"{len(self._intake.in_use)} {IN_USE}, such as {printable(first)}: taken when that closes them"


async def _batches(scan: Scan) -> AsyncIterator[list[FoundFile]]:
    while (batch := await asyncio.to_thread(scan.batch)) is not None:
        if batch:
            yield batch


def _can_be(path: str) -> bool:
    with suppress(UnicodeEncodeError):
        return b"\0" not in os.fsencode(path)
    return False


def _is_below(path: str, start: str) -> bool:
    return not start or f"{path}/".startswith(f"{start}/")


def _outermost(paths: set[str]) -> list[str]:
    """Return the paths that lie below no other one of them."""
    outer: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not outer or not f"{path}/".startswith(f"{outer[-1]}/"):
            outer.append(path)
    return outer


def _is_empty(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None


def _reason(error: OSError) -> str:
    return f"{error.strerror or error}: {usual(error.filename)}" if error.filename else str(error)
