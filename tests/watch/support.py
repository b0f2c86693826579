"""A folder watch on a real folder, with records in memory."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence

from syncd.config.model import Folder
from syncd.core.model import FoundFile
from syncd.watch.folder import FolderWatch
from syncd.watch.recorded_files import Page
from tests.support.wait import wait_until


class MemoryRecords:
    """Records the files that the watch reports, and counts the calls."""

    def __init__(self):
        self.known: dict[str, FoundFile] = {}
        self.observed: list[FoundFile] = []
        self.gone: list[str] = []
        self.asked = 0
        self.failing: set[str] = set()

    async def diff(self, folder: str, seen: Sequence[FoundFile]) -> list[FoundFile]:
        self.asked += len(seen)
        return [one for one in seen if not self._knows(one)]

    def _knows(self, one: FoundFile) -> bool:
        known = self.known.get(one.path)
        if known is None or (known.fingerprint, known.unfit) != (one.fingerprint, one.unfit):
            return False
        return known.birth_ns == one.birth_ns or None in (known.birth_ns, one.birth_ns)

    async def observe(self, folder: str, seen: Sequence[FoundFile]) -> None:
        failing = {one.path for one in seen} & self.failing
        if failing:
            if len(seen) == 1:  # the watch tries each file of a failed batch alone
                self.failing -= failing
            raise OSError("the store is full")
        self.known |= {one.path: one for one in seen}
        self.observed += seen

    async def page(self, folder: str, after: bytes, limit: int) -> Page:
        paths = sorted(path for path in map(os.fsencode, self.known) if path > after)
        return {path: _stamp(self.known[os.fsdecode(path)]) for path in paths[:limit]}

    async def mark_files_gone(self, folder: str, paths: Sequence[str]) -> None:
        for path in paths:
            if self.known.pop(path, None):
                self.gone.append(path)

    async def paths(self, folder: str, after: str | None, limit: int) -> list[str]:
        def order(path: str) -> bytes:
            return path.encode("utf-8", "surrogateescape")

        return sorted((path for path in self.known if after is None or order(path) > order(after)), key=order)[:limit]


def _stamp(known: FoundFile) -> tuple[int, int, int] | None:
    of = known.fingerprint
    return None if of is None or known.unfit else (of.inode, of.size, of.mtime_ns)


class WatchHarness:
    """A folder on disk with its records and its watch."""

    def __init__(self, path, records: MemoryRecords):
        self.path = path
        self.records = records
        self.folder = Folder.model_validate({"path": str(path), "remote": "r"}).model_copy(
            update={"settle": 0.15, "rescan": 3600.0, "include": ("*.jpg",)}
        )
        self.watch: FolderWatch | None = None

    @contextlib.asynccontextmanager
    async def running(self, **changes) -> AsyncIterator[FolderWatch]:
        self.folder = self.folder.model_copy(update=changes)
        self.watch = FolderWatch(self.folder, self.records)
        task = asyncio.create_task(self.watch.run())
        try:
            if self.path.is_dir():
                await wait_until(lambda: task.done() or self.watch.status.state == "watching")
            yield self.watch
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def once(self, **changes) -> FolderWatch:
        self.folder = self.folder.model_copy(update=changes)
        return FolderWatch(self.folder, self.records)


def set_age(path, seconds=60.0):
    """Set the mtime of a file to ``seconds`` ago."""
    when = time.time() - seconds
    os.utime(path, (when, when))
