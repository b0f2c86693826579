"""The watched folders: a watch for each, and the store behind it."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from syncd.config.gitignore import directory
from syncd.config.model import Folder
from syncd.core.model import FoundFile
from syncd.daemon.watch_marks import WatchMarks
from syncd.paths import inside
from syncd.platform.file_info import has_stable_file_ids, on_disk_case
from syncd.platform.files import join_path
from syncd.store.job_store import JobStore
from syncd.watch.folder import FolderWatch
from syncd.watch.scanner import unfit


class StoreSink:
    """What a watch finds becomes files and jobs. ``remote_ids`` are those that the folder's files go to."""

    def __init__(self, store: JobStore, remote_ids: Sequence[int]) -> None:
        self._store = store
        self._remote_ids = tuple(remote_ids)

    async def diff(self, folder: str, seen: Sequence[FoundFile]) -> list[FoundFile]:
        """Return those that the store does not know as they are."""
        return await self._store.diff(folder, seen, self._remote_ids)

    async def observe(self, folder: str, seen: FoundFile) -> None:
        """Record it, with a job for each remote."""
        await self._store.observe(folder, [seen], self._remote_ids, is_gone=_is_gone)

    async def gone(self, folder: str, paths: Sequence[str]) -> None:
        """Record that they are no longer there."""
        await self._store.mark_files_gone(folder, paths)

    async def paths(self, folder: str, after: str | None, limit: int) -> list[str]:
        """Return known paths, in order."""
        return await self._store.paths(folder, after=after, limit=limit)


def _is_gone(folder: str, path: str) -> bool:
    """Say whether a file that was at ``path`` may have another name by now, with the number that it had there.

    A name that differs in its case is another one.
    """
    if not has_stable_file_ids(folder):
        return False
    if not os.path.lexists(join_path(folder, path)):
        return True
    with suppress(OSError):
        return on_disk_case(folder, path) != path
    return False


class Folders:
    """Runs the watches; a watch that dies takes the daemon with it, by way of ``failed``."""

    def __init__(self, store: JobStore, *, state_dir: Path, failed: Callable[[BaseException], None]) -> None:
        self.watches: dict[str, FolderWatch] = {}
        self.settings: dict[str, Folder] = {}
        self._store = store
        self._state_dir = os.path.realpath(state_dir)
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._marks = WatchMarks(self.settings, state_dir=self._state_dir)
        self._marking: asyncio.Task[None] | None = None

    def add(self, settings: Folder, remote_ids: Sequence[int]) -> FolderWatch:
        """Know a folder; :meth:`start` watches it, but for the daemon's own state if that lies in it."""
        own = inside(os.path.realpath(settings.path), self._state_dir)
        watched = settings.model_copy(update={"exclude": (*settings.exclude, directory(own))}) if own else settings
        watch = FolderWatch(watched, StoreSink(self._store, remote_ids))
        self.watches[settings.path] = watch
        self.settings[settings.path] = settings
        return watch

    def start(self) -> None:
        """Watch every folder that is known and not watched yet."""
        for path, watch in self.watches.items():
            if path not in self._tasks:
                self._tasks[path] = task = asyncio.create_task(watch.run(), name=f"watch:{path}")
                task.add_done_callback(self._check)
        if self._marking is None:
            self._marking = asyncio.create_task(self._marks.run(), name="marks")
            self._marking.add_done_callback(self._check)

    async def remove(self, path: str) -> None:
        """Watch a folder no longer."""
        del self.watches[path], self.settings[path]
        if task := self._tasks.pop(path, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Watch nothing any more."""
        for path in list(self.watches):
            await self.remove(path)
        if self._marking is not None:
            self._marking.cancel()
            await asyncio.gather(self._marking, return_exceptions=True)
            self._marking = None

    def doubt(self, folder: str, path: str) -> None:
        """Have a file looked at again that is not what the store thinks."""
        if watch := self.watches.get(folder):
            watch.request_rescan(path)

    def settle(self, folder: str) -> float:
        """Return a folder's quiet time in seconds."""
        settings = self.settings.get(folder)
        return settings.settle if settings else 2.0

    def follow_symlinks(self, folder: str) -> bool:
        """Say whether symlinks of a folder are followed."""
        settings = self.settings.get(folder)
        return bool(settings and settings.follow_symlinks)

    def takes(self, folder: str, path: str) -> bool:
        """Say whether a folder still selects a path; True for a folder that is watched no longer."""
        watch = self.watches.get(folder)
        return watch is None or watch.matches(path)

    def unfit(self, folder: str, size: int) -> str | None:
        """Say why a file of ``size`` bytes is not to be uploaded, if it is not."""
        settings = self.settings.get(folder)
        return unfit(size, max_size=settings.max_size) if settings else None

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failed(error)
