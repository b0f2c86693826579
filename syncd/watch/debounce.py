"""Waits until a changed file is quiet, then has the file recorded.

Hints come from events and from scans. The queue keeps one entry for each path and looks at the file only when the entry
is due, so the number and the order of the events do not matter. :mod:`syncd.core.settle` decides when a file is quiet.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from syncd.core.model import FoundFile
from syncd.core.settle import TICK, Hint, Settling, racy_for
from syncd.core.text import printable
from syncd.watch.file_records import FileRecords
from syncd.watch.hints import MAX_PENDING_FILES
from syncd.watch.inspection import InUseFiles, Unfinished, inspect
from syncd.watch.lookup import FileLookup, is_at
from syncd.watch.recorded_files import PAGE_SIZE, Page, RecordedFiles
from syncd.watch.scanner import BATCH_SIZE, WatchedTree

RECORD_RETRY_SECONDS = 5.0
"""Delay until a file is recorded again after recording it failed."""
T = TypeVar("T")


class SettleQueue:
    """The files of one folder that are not reported yet. Belongs to one event loop.

    ``settle`` is the quiet time in seconds; ``clock`` is monotonic, ``wall`` is the clock of the files' mtimes.
    """

    def __init__(
        self,
        tree: WatchedTree,
        records: FileRecords,
        *,
        settle: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._tree = tree
        self._records = records
        self._settle = settle
        self._clock = clock
        self._wall = wall
        self._log = log
        self._pending: dict[str, Settling] = {}
        self._due_heap: list[tuple[float, str]] = []
        self._reporting: set[str] = set()  # files that are quiet, but not yet confirmed as recorded
        self._in_use = InUseFiles()
        self._earlier_due = asyncio.Event()
        self._has_capacity = asyncio.Event()
        self._has_capacity.set()
        self._empty = asyncio.Event()
        self.lookup = FileLookup(tree, on_doubt=self._doubt, log=log)
        self.mtime_tick = TICK
        """As :meth:`WatchedTree.mtime_tick`, for the folder that is watched now."""
        self.hints_dropped = False
        """Hints were dropped or could not be checked; the next full scan resets this."""

    def __contains__(self, path: str) -> bool:
        return path in self._pending or path in self._reporting

    def __len__(self) -> int:
        return len(self._pending.keys() | self._reporting)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pending.keys() | self._reporting)

    @property
    def in_use(self) -> Collection[str]:
        """The quiet files that wait because a program has them open for writing."""
        return self._in_use.paths

    def add_hint(self, path: str, hint: Hint) -> None:
        """Queue ``path`` because of an event; drop the hint if the queue is full."""
        known = self._pending.get(path)
        if known is None and len(self._pending) >= MAX_PENDING_FILES:
            self.hints_dropped = True
            return
        if hint.moved_from is not None and (source := self._pending.get(hint.moved_from)):
            hint = hint.trace_back(source.hint)
        now = self._clock()
        self._put(path, known.after_event(hint, now) if known else Settling(since=now, hint=hint))

    async def add_found(self, batch: Iterable[FoundFile], *, backlog: bool) -> int:
        """Report or queue the files that a scan found.

        ``backlog`` is as in :class:`FoundFile`. Return how many of the reported files were new or changed. A file with
        an old mtime is quiet and reported at once, unless an event for the file is already queued.
        """
        await self._has_capacity.wait()
        now, wall = self._clock(), self._wall()
        ready = []
        for seen in batch:
            if seen.path in self._pending:
                continue
            if seen.fingerprint is None or self._is_quiet(seen.fingerprint.mtime_ns, wall):
                ready.append(seen)
            else:
                self._put(seen.path, Settling(since=now, fingerprint=seen.fingerprint, backlog=backlog))
        return await self._report(ready, backlog=backlog)

    async def run(self) -> None:
        """Report files as they become quiet, until cancelled."""
        while True:
            await self._wait_until_due()
            await self._process_due()

    async def wait_until_empty(self, timeout: float) -> int:
        """Wait up to ``timeout`` seconds for an empty queue; return how many files are left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        return len(self)

    def start_comparison(self) -> RecordedFiles:
        """Return the records for a scan that leaves out unchanged files."""
        return RecordedFiles(self._recorded_page, max_size=self._tree.max_size, settle=self._settle, wall=self._wall())

    async def _recorded_page(self, after: bytes) -> Page | None:
        return await self._try_call(self._records.page(self._tree.root, after, PAGE_SIZE))

    async def report_missing(self, below: str = "", *, candidates: Sequence[str] | None = None) -> int:
        """Report the recorded files that no longer exist; return how many they are.

        ``below`` restricts them to a directory; ``candidates`` are the only ones that may be missing.
        """
        if candidates is not None:
            pages = (candidates[start : start + BATCH_SIZE] for start in range(0, len(candidates), BATCH_SIZE))
            return sum([await self._report_gone(page) for page in pages])
        prefix = f"{below}/" if below else ""
        after, count = prefix or None, 0
        while page := await self._try_call(self._records.paths(self._tree.root, after, BATCH_SIZE)):
            recorded = [path for path in page if path.startswith(prefix)]
            count += await self._report_gone(recorded)
            if len(recorded) < len(page):
                break
            after = page[-1]
        return count

    async def _report_gone(self, recorded: Sequence[str]) -> int:
        gone = await asyncio.to_thread(self.lookup.missing, recorded)
        if gone:
            await self._try_call(self._records.mark_files_gone(self._tree.root, gone), gone)
        return len(gone)

    def _doubt(self) -> None:
        self.hints_dropped = True

    def _is_quiet(self, mtime_ns: int, wall: float) -> bool:
        return wall - mtime_ns / 1e9 >= self._settle and not racy_for(mtime_ns, wall, self.mtime_tick)

    def _put(self, path: str, settling: Settling) -> None:
        self._pending[path] = settling
        self._empty.clear()
        due = settling.next_check(self._settle)
        first = not self._due_heap or due < self._due_heap[0][0]
        heapq.heappush(self._due_heap, (due, path))
        if first:
            self._earlier_due.set()
        if len(self._pending) >= MAX_PENDING_FILES:
            self._has_capacity.clear()

    def _remove(self, path: str) -> None:
        del self._pending[path]
        if len(self._pending) < MAX_PENDING_FILES:
            self._has_capacity.set()

    async def _wait_until_due(self) -> None:
        while True:
            if not self._pending:
                self._empty.set()
            delay = self._due_heap[0][0] - self._clock() if self._due_heap else None
            if delay is not None and delay <= 0:
                return
            self._earlier_due.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._earlier_due.wait()

    def _next_batch(self) -> dict[str, Settling]:
        """Remove up to a batch of due entries from the heap.

        The entries stay pending until their files were looked at.
        """
        now = self._clock()
        batch: dict[str, Settling] = {}
        while self._due_heap and self._due_heap[0][0] <= now and len(batch) < BATCH_SIZE:
            due, path = heapq.heappop(self._due_heap)
            settling = self._pending.get(path)
            # A later event postpones the entry: the heap then holds the path again with the later time.
            if settling is not None and settling.next_check(self._settle) == due:
                batch[path] = settling
        return batch

    async def _process_due(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
        found = await asyncio.to_thread(self.lookup.find_with_birth_times, list(batch))
        now, wall = self._clock(), self._wall()
        ready, gone = [], []
        for path, settling in batch.items():
            if self._pending.get(path) is not settling:
                continue  # an event changed the entry while the file was looked at
            seen = found.get(path)
            after = _after(settling, seen, now, wall, self.mtime_tick)
            if seen and seen.fingerprint and after.due(self._settle) > now:
                self._put(path, after)
                continue
            self._remove(path)
            self._reporting.add(path)
            if seen:
                hint = after.hint
                ready.append(replace(seen, closed=hint.close_event, moved_from=hint.moved_from, backlog=after.backlog))
            if path in found and not is_at(path, seen):
                gone.append(path)
        await self._report(ready)
        if gone:
            await self._try_call(self._records.mark_files_gone(self._tree.root, gone), gone)
        self._reporting.clear()  # not in a finally: after a cancellation, these files are not recorded
        self._in_use.discard(batch.keys() - self._pending.keys())

    async def _report(self, ready: Sequence[FoundFile], *, backlog: bool = False) -> int:
        """Report the new and changed files among ``ready``; return their number.

        ``backlog`` reports them as a backlog. The diff only reads: a scan that finds nothing new needs no write to the
        store.
        """
        if not ready:
            return 0
        folder = self._tree.root
        changed = await self._try_call(self._records.diff(folder, ready), [seen.path for seen in ready])
        if not changed:
            return 0
        marked = [replace(seen, backlog=True) for seen in changed] if backlog else changed
        finished = await self._without_writers(marked)
        await self._observe(finished)
        return len(changed)

    async def _observe(self, finished: Sequence[FoundFile]) -> None:
        """Record the files together, or each separately if that fails.

        One file that cannot be recorded does not affect the others.
        """
        folder = self._tree.root
        if len(finished) > 1:
            with suppress(Exception):  # the calls for each file report the error
                await self._records.observe(folder, finished)
                return
        await asyncio.gather(*(self._try_call(self._records.observe(folder, [seen]), [seen.path]) for seen in finished))

    async def _without_writers(self, changed: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the files that no program has open for writing; queue the others again."""
        findings = await asyncio.to_thread(lambda: [inspect(self._tree, seen) for seen in changed])
        now = self._clock()
        for seen, finding in zip(changed, findings, strict=True):
            if seen.path in self._pending or isinstance(finding, FoundFile):
                continue
            again = Settling(since=now, hint=Hint(moved_from=seen.moved_from), backlog=seen.backlog)
            if finding is Unfinished.CHANGED:
                self._put(seen.path, again)
                continue
            if seen.path not in self._in_use.paths:
                self._log.info("file.in_use", path=printable(seen.path))
            pause = self._in_use.next_pause(seen.path)
            quiet = replace(again, since=now - self._settle, fingerprint=seen.fingerprint, not_before=now + pause)
            self._put(seen.path, quiet)
        return [finding for finding in findings if isinstance(finding, FoundFile)]

    async def _try_call(self, work: Awaitable[T], paths: Sequence[str] = ()) -> T | None:
        """Await one call of the records.

        If the call fails, log the error and queue ``paths`` again.
        """
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - an error with one file must not stop the others
            path = paths[0] if paths else None
            self._log.warning("folder.store_failed", files=len(paths), path=path, reason=str(error))
        for path in paths:
            if path not in self._pending:
                self._put(path, Settling(since=self._clock() + RECORD_RETRY_SECONDS))
        return None


def _after(settling: Settling, seen: FoundFile | None, now: float, wall: float, tick: float) -> Settling:
    """Return the entry of a file after ``seen`` was found."""
    if seen is None or seen.fingerprint is None:
        return settling
    after = settling.after_check(seen.fingerprint, now)
    racy = racy_for(seen.fingerprint.mtime_ns, wall, tick)
    return replace(after, not_before=max(after.not_before, now + racy)) if racy else after
