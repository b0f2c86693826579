"""Runs a watch for each configured folder, and records the found files in the store."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from syncd.asyncio_tools import cancel_and_wait, on_failure
from syncd.config.gitignore import directory
from syncd.config.model import Folder
from syncd.core.model import FoundFile
from syncd.daemon.shared_folder_check import SharedFolderCheck
from syncd.paths import inside
from syncd.platform.file_info import has_stable_file_ids, on_disk_case
from syncd.platform.files import join_path
from syncd.store.job_store import JobStore
from syncd.upload.context import FolderPolicy
from syncd.watch.folder import FolderWatch
from syncd.watch.recorded_files import Page
from syncd.watch.scanner import unfit


class StoreFileRecords:
    """Records found files in the store, with one job for each of ``remote_ids``."""

    def __init__(self, store: JobStore, remote_ids: Sequence[int]) -> None:
        self._store = store
        self._remote_ids = tuple(remote_ids)

    async def diff(self, folder: str, seen: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the files that are new or changed compared with the store."""
        return await self._store.diff(folder, seen, self._remote_ids)

    async def observe(self, folder: str, seen: Sequence[FoundFile]) -> None:
        """Record files, with a job for each remote."""
        await self._store.observe(folder, seen, self._remote_ids, is_gone=_is_gone)

    async def page(self, folder: str, after: bytes, limit: int) -> Page:
        """Return recorded files with their stamps, in order."""
        return await self._store.recorded_page(folder, self._remote_ids, after=after, limit=limit)

    async def mark_files_gone(self, folder: str, paths: Sequence[str]) -> None:
        """Record that the files are gone."""
        await self._store.mark_files_gone(folder, paths)

    async def paths(self, folder: str, after: str | None, limit: int) -> list[str]:
        """Return recorded paths, in order."""
        return await self._store.paths(folder, after=after, limit=limit)


def _is_gone(folder: str, path: str) -> bool:
    """Return whether no file is at ``path`` any more, so that it may have been renamed.

    A name that differs in case is another name. Always False on file systems without stable file numbers.
    """
    if not has_stable_file_ids(folder):
        return False
    if not os.path.lexists(join_path(folder, path)):
        return True
    with suppress(OSError):
        return on_disk_case(folder, path) != path
    return False


class Folders:
    """Runs the watches. ``failed`` receives the error of a watch that fails."""

    def __init__(self, store: JobStore, *, state_dir: Path, failed: Callable[[BaseException], None]) -> None:
        self.watches: dict[str, FolderWatch] = {}
        self.settings: dict[str, Folder] = {}
        self._store = store
        self._state_dir = os.path.realpath(state_dir)
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._shared_folder_check = SharedFolderCheck(self.settings, state_dir=self._state_dir)
        self._marking: asyncio.Task[None] | None = None

    def add(self, settings: Folder, remote_ids: Sequence[int]) -> FolderWatch:
        """Add a folder, to be watched by :meth:`start`. A state folder inside it is excluded."""
        own = inside(os.path.realpath(settings.path), self._state_dir)
        watched = settings.model_copy(update={"exclude": (*settings.exclude, directory(own))}) if own else settings
        watch = FolderWatch(watched, StoreFileRecords(self._store, remote_ids))
        self.watches[settings.path] = watch
        self.settings[settings.path] = settings
        return watch

    def start(self) -> None:
        """Watch each added folder that is not watched yet."""
        for path, watch in self.watches.items():
            if path not in self._tasks:
                self._tasks[path] = task = asyncio.create_task(watch.run(), name=f"watch:{path}")
                task.add_done_callback(on_failure(self._failed))
        if self._marking is None:
            self._marking = asyncio.create_task(self._shared_folder_check.run(), name="marks")
            self._marking.add_done_callback(on_failure(self._failed))

    async def remove(self, path: str) -> None:
        """Stop watching a folder."""
        del self.watches[path], self.settings[path]
        if task := self._tasks.pop(path, None):
            await cancel_and_wait(task)

    async def close(self) -> None:
        """Stop watching all folders."""
        for path in list(self.watches):
            await self.remove(path)
        if self._marking is not None:
            await cancel_and_wait(self._marking)
            self._marking = None

    def recheck(self, folder: str, path: str) -> None:
        """Rescan a file whose state no longer matches the store."""
        if watch := self.watches.get(folder):
            watch.request_rescan(path)

    def policy(self, folder: str) -> FolderPolicy:
        """Return the present rules of a folder; the defaults if it is no longer watched."""
        watch, settings = self.watches.get(folder), self.settings.get(folder)
        if watch is None or settings is None:
            return FolderPolicy(is_present=partial(os.path.isdir, folder))
        return FolderPolicy(
            other_remotes=len(settings.remotes) - 1,
            settle_seconds=settings.settle,
            follow_symlinks=settings.follow_symlinks,
            unfit=partial(unfit, max_size=settings.max_size),
            selects=watch.matches,
            is_present=watch.is_present,
            recheck=partial(self.recheck, folder),
        )
