"""The way from "this path may have something new" into the sink: wait until the file is quiet, then hand it over.

Hints come from the observer and from scans. However many there are for a path, it has one entry here, and the file
is looked at when the entry is due; so the order and the number of events never matter.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from syncd.core.model import FoundFile
from syncd.core.settle import Hint, Settling, racy_for
from syncd.core.text import printable
from syncd.watch.inspection import Unfinished, inspect
from syncd.watch.scanner import BATCH, Identity, Tree
from syncd.watch.sink import Sink

LIMIT = 50_000
"""So many files at most wait to become quiet; hints beyond are dropped, and a rescan finds what they meant."""
RETRY = 5.0
"""Seconds until a file that the sink did not take is offered again."""
IN_USE_FIRST, IN_USE_MOST = 0.5, 5.0
"""Seconds between two looks at whether a file is still open for writing: each pause is twice as long as the last."""
T = TypeVar("T")


class Intake:
    """The files of one folder that are not quiet yet. Belongs to one event loop."""

    def __init__(
        self,
        tree: Tree,
        sink: Sink,
        *,
        settle: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._tree = tree
        self._sink = sink
        self._settle = settle
        self._clock = clock
        self._wall = wall
        self._log = log
        self._pending: dict[str, Settling] = {}
        self._agenda: list[tuple[float, str]] = []
        self._in_hand: set[str] = set()  # quiet, and not with the sink yet
        self._in_use: dict[str, float] = {}  # open for writing by another program: the pause until the next look
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self.root: Identity | None = None
        """The folder that the paths belong to. Under any other, a missing file proves nothing."""
        self.missed = False
        """Hints were dropped, or came to nothing; whoever rescans resets it."""

    def __contains__(self, path: str) -> bool:
        return path in self._pending or path in self._in_hand

    def __len__(self) -> int:
        return len(self._pending.keys() | self._in_hand)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pending.keys() | self._in_hand)

    @property
    def in_use(self) -> Collection[str]:
        """The files that are quiet, and not taken because a program has them open for writing."""
        return self._in_use.keys()

    def hint(self, path: str, hint: Hint) -> None:
        """Have ``path`` looked at, as an event told of it."""
        known = self._pending.get(path)
        if known is None and len(self._pending) >= LIMIT:
            self.missed = True
            return
        if hint.moved_from is not None and (source := self._pending.get(hint.moved_from)):
            hint = hint.behind(source.hint)
        now = self._clock()
        self._put(path, known.noticed(hint, now) if known else Settling(since=now, hint=hint))

    async def found(self, batch: Iterable[FoundFile]) -> int:
        """Take what a scan saw; return how many of the files were new or changed.

        A file that was last written some time ago is quiet, unless an event has just told otherwise.
        """
        await self._room.wait()
        now, wall = self._clock(), self._wall()
        ready = []
        for seen in batch:
            if seen.path in self._pending:
                continue
            if seen.fingerprint is None or self._rests(seen.fingerprint.mtime_ns, wall):
                ready.append(seen)
            else:
                self._put(seen.path, Settling(since=now, fingerprint=seen.fingerprint))
        return await self._hand_over(ready)

    def _rests(self, mtime_ns: int, wall: float) -> bool:
        return wall - mtime_ns / 1e9 >= self._settle and not racy_for(mtime_ns, wall)

    async def run(self) -> None:
        """Take files as they become quiet, until cancelled."""
        while True:
            await self._until_due()
            await self._take_due()

    async def idle(self, patience: float) -> int:
        """Wait until :meth:`run` has taken all files, at most ``patience`` seconds; return how many are left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        return len(self)

    async def sweep(self, below: str = "") -> int:
        """Find the known files that are no longer there, below a directory or all; return how many."""
        prefix = f"{below}/" if below else ""
        after, count = prefix or None, 0
        while page := await self._attempt(self._sink.paths(self._tree.root, after, BATCH)):
            mine = [path for path in page if path.startswith(prefix)]
            gone = await asyncio.to_thread(self._missing, mine)
            if gone:
                await self._attempt(self._sink.gone(self._tree.root, gone), gone)
            count += len(gone)
            if len(mine) < len(page):
                break
            after = page[-1]
        return count

    def _put(self, path: str, settling: Settling) -> None:
        self._pending[path] = settling
        self._idle.clear()
        due = settling.look_at(self._settle)
        first = not self._agenda or due < self._agenda[0][0]
        heapq.heappush(self._agenda, (due, path))
        if first:
            self._changed.set()
        if len(self._pending) >= LIMIT:
            self._room.clear()

    def _drop(self, path: str) -> None:
        del self._pending[path]
        if len(self._pending) < LIMIT:
            self._room.set()

    async def _until_due(self) -> None:
        while True:
            if not self._pending:
                self._idle.set()
            delay = self._agenda[0][0] - self._clock() if self._agenda else None
            if delay is not None and delay <= 0:
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._changed.wait()

    def _next_batch(self) -> dict[str, Settling]:
        """Take up to a batch of due entries off the agenda; they stay pending until they were looked at."""
        now = self._clock()
        batch: dict[str, Settling] = {}
        while self._agenda and self._agenda[0][0] <= now and len(batch) < BATCH:
            due, path = heapq.heappop(self._agenda)
            settling = self._pending.get(path)
            # A later event moved the entry on; it stands on the agenda again, further down.
            if settling is not None and settling.look_at(self._settle) == due:
                batch[path] = settling
        return batch

    async def _take_due(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
        looks = await asyncio.to_thread(self._look_closely, list(batch))
        now, wall = self._clock(), self._wall()
        ready, gone = [], []
        for path, settling in batch.items():
            if self._pending.get(path) is not settling:
                continue  # something happened to it during the look
            seen = looks.get(path)
            after = _after(settling, seen, now, wall)
            if seen and seen.fingerprint and after.due(self._settle) > now:
                self._put(path, after)
                continue
            self._drop(path)
            self._in_hand.add(path)
            if seen:
                ready.append(replace(seen, closed=after.hint.told, moved_from=after.hint.moved_from))
            if path in looks and not _is_at(path, seen):
                gone.append(path)
        await self._hand_over(ready)
        if gone:
            await self._attempt(self._sink.gone(self._tree.root, gone), gone)
        self._in_hand.clear()  # left as it is where this was cancelled: what it names is not with the sink
        for path in batch.keys() - self._pending.keys():
            self._in_use.pop(path, None)

    async def _hand_over(self, ready: Sequence[FoundFile]) -> int:
        if not ready:
            return 0
        folder = self._tree.root
        changed = await self._attempt(self._sink.diff(folder, ready), [seen.path for seen in ready])
        if not changed:
            return 0
        finished = await self._finished(changed)
        await asyncio.gather(*(self._attempt(self._sink.observe(folder, seen), [seen.path]) for seen in finished))
        return len(changed)

    async def _finished(self, changed: Sequence[FoundFile]) -> list[FoundFile]:
        """Return those that no program has open for writing; the others are looked at again later."""
        findings = await asyncio.to_thread(lambda: [inspect(self._tree, seen) for seen in changed])
        now = self._clock()
        for seen, finding in zip(changed, findings, strict=True):
            if seen.path in self._pending or isinstance(finding, FoundFile):
                continue
            hint = Hint(moved_from=seen.moved_from)
            if finding is Unfinished.CHANGED:
                self._put(seen.path, Settling(since=now, hint=hint))
                continue
            if seen.path not in self._in_use:
                self._log.info("file.in_use", path=printable(seen.path))
            pause = min(IN_USE_MOST, 2 * self._in_use[seen.path]) if seen.path in self._in_use else IN_USE_FIRST
            self._in_use[seen.path] = pause
            self._put(
                seen.path,
                Settling(since=now - self._settle, hint=hint, fingerprint=seen.fingerprint, not_before=now + pause),
            )
        return [finding for finding in findings if isinstance(finding, FoundFile)]

    async def _attempt(self, work: Awaitable[T], paths: Sequence[str] = ()) -> T | None:
        """Do one thing with the sink; if that fails, have the same files looked at again later."""
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - whatever one file brings up, the others go on
            path = paths[0] if paths else None
            self._log.warning("watch.not_taken", files=len(paths), path=path, reason=str(error))
        for path in paths:
            if path not in self._pending:
                self._put(path, Settling(since=self._clock() + RETRY))
        return None

    def _look(self, paths: Iterable[str]) -> dict[str, FoundFile | None]:
        """Return what is at each path; those that can't be judged now are left out, and a rescan judges them.

        What is seen has its path as the disk spells it: a hint may have another spelling.
        """
        looks: dict[str, FoundFile | None] = {}
        known: dict[str, str | None] = {}
        for path in paths:
            try:
                spelled = self._tree.spelled(path, known)
                looks[path] = None if spelled is None else self._tree.look(spelled)
            except OSError as error:
                self._log.warning("scan.unreadable", path=path, reason=error.strerror)
        if None in looks.values() and not self._at_home():
            self.missed = True  # the folder may be back before anybody notices that it was away
            return {path: seen for path, seen in looks.items() if seen}
        return looks

    def _look_closely(self, paths: Iterable[str]) -> dict[str, FoundFile | None]:
        """As :meth:`_look`, with the birth times: an event may have told of another file that looks the same."""
        looks = self._look(paths)
        return {
            path: replace(seen, birth_ns=self._tree.birth_ns(seen.path)) if seen else None
            for path, seen in looks.items()
        }

    def _missing(self, paths: Iterable[str]) -> list[str]:
        return [path for path, seen in self._look(paths).items() if not _is_at(path, seen)]

    def _at_home(self) -> bool:
        try:
            return self._tree.identity() == self.root
        except OSError:
            return False


def _after(settling: Settling, seen: FoundFile | None, now: float, wall: float) -> Settling:
    """Return how a file stands after a look at it."""
    if seen is None or seen.fingerprint is None:
        return settling
    after = settling.seen(seen.fingerprint, now)
    racy = racy_for(seen.fingerprint.mtime_ns, wall)
    return replace(after, not_before=max(after.not_before, now + racy)) if racy else after


def _is_at(path: str, seen: FoundFile | None) -> bool:
    return seen is not None and seen.path == path
