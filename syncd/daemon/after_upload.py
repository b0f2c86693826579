"""Deletes or moves local files after their upload, as the key ``after_upload`` says.

The store alone decides which files are due, so a crash between upload and removal loses nothing. Each removal is
recorded before the file is touched; after a crash the file gets its name back. :mod:`~syncd.daemon.deletion_check`
decides whether a file may go, :mod:`~syncd.daemon.kept_files` remembers the files that may not yet, and
:mod:`~syncd.platform.removal` alone deletes or moves a file.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from syncd.asyncio_tools import wait_for_event
from syncd.config.model import Folder
from syncd.core.states import State
from syncd.core.text import printable
from syncd.daemon.deletion_check import DeletionCheck
from syncd.daemon.kept_files import FIRST_RETRY_SECONDS, KeptFiles
from syncd.daemon.removal_batch import RemovalBatch, RemovalRequest
from syncd.daemon.runtime import ListenerOrder, Runtime
from syncd.platform import removal
from syncd.platform.removal import CHANGED, INTERRUPTED, ArchiveDirectory, NotRemovedError
from syncd.store.records import Change, UploadedFile

log = structlog.get_logger()

BATCH_FILES = 200
"""Files that are removed between two writes to the store."""
MIN_PAUSE_SECONDS = 0.5
"""Shortest pause between two sweeps, so that a sweep finds several files."""
PAUSE_FACTOR = 10
"""The pause after a sweep is this many times as long as the sweep spent on files that it kept."""


class AfterUploadTask:
    """Sweeps the folders that delete or move uploaded files, unless ``paused()``."""

    def __init__(self, runtime: Runtime, *, paused: Callable[[], bool] = lambda: False) -> None:
        self._runtime = runtime
        self._paused = paused
        self._check = DeletionCheck(runtime, clock=time.time)
        self._wake = asyncio.Event()  # ends the pause for kept files
        self._immediate = asyncio.Event()  # ends every pause
        self._archives: dict[str, ArchiveDirectory] = {}
        self._kept = KeptFiles()
        self._pending: set[str] = set()  # folders with an interrupted removal that cannot be undone yet
        self._suspensions = 0  # how many callers of suspended() are inside it
        self._generation = 0  # rises with each suspension: a sweep that began before ends
        self._stop = threading.Event()
        self._checking: asyncio.Task[list[str | None]] | None = None
        self._removing: asyncio.Task[None] | None = None
        runtime.store.changes.subscribe(self._on_change, order=ListenerOrder.AFTER_UPLOAD)

    def _on_change(self, change: Change) -> None:
        if change.after is State.DONE:
            self._wake.set()

    def detail(self, folder: str) -> str | None:
        """Describe the files of a folder that are due but kept; None if there are none."""
        return self._kept.detail(folder)

    def wake(self) -> None:
        """Begin the next sweep at once."""
        self._immediate.set()
        self._wake.set()

    @asynccontextmanager
    async def suspended(self) -> AsyncGenerator[None]:
        """Prevent removals during the context, after the removal in progress has ended."""
        self._suspensions += 1
        self._generation += 1
        self._stop.set()
        try:
            if self._checking is not None:
                self._checking.cancel()
            while running := {task for task in (self._checking, self._removing) if task is not None}:
                await asyncio.wait(running)
            yield
        finally:
            self._suspensions -= 1
            if not self._suspensions:
                self._stop.clear()
            self.wake()

    async def configure(self) -> None:
        """Apply the current configuration.

        Creates the archive directories, and lets the next sweep try all kept files again.
        """
        folders = self._runtime.folders.settings.values()
        wanted = {
            folder.path: str(folder.after_upload.directory) for folder in folders if folder.after_upload.directory
        }
        self._archives = {
            path: self._archives[path]
            if path in self._archives and self._archives[path].path == directory
            else ArchiveDirectory(directory)
            for path, directory in wanted.items()
        }
        for archive in self._archives.values():
            if not archive.created:
                await asyncio.to_thread(archive.create)
        self._kept.reset({folder.path for folder in folders if folder.after_upload.action != "keep"})

    async def removable_count(self, folder: Folder) -> int:
        """Return the number of files of ``folder`` that are uploaded and still present."""
        if not self._runtime.remote_ids.keys() >= set(folder.remotes):
            return 0
        return await self._runtime.store.uploaded_count(folder.path, self._runtime.ids_of(folder.remotes))

    async def recover(self) -> None:
        """Rename files back that an interrupted removal has hidden.

        Call this before the first sweep. A file in an unavailable folder is recovered by a later sweep.
        """
        before, self._pending = self._pending, set()
        for begun in await self._runtime.store.pending_removals():
            try:
                name = await asyncio.to_thread(removal.recover, begun.folder, begun.path, begun.hidden)
            except OSError as error:
                self._pending.add(begun.folder)
                if begun.folder not in before:
                    before.add(begun.folder)
                    log.warning("file.removal_pending", folder=printable(begun.folder), reason=error.strerror)
                continue
            if name is not None:
                log.warning(
                    "file.removal_undone", folder=printable(begun.folder), path=printable(begun.path), name=name
                )
            await self._runtime.store.end_removals(begun.folder, [begun.id], [])

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            self._immediate.clear()
            started = time.monotonic()
            removed = await self.sweep()
            kept = self._kept.total
            spent_on_kept = (time.monotonic() - started) * kept / max(1, kept + removed)
            await wait_for_event(self._immediate, max(MIN_PAUSE_SECONDS, PAUSE_FACTOR * spent_on_kept))
            await wait_for_event(self._wake, FIRST_RETRY_SECONDS)

    async def sweep(self) -> int:
        """Remove every file that may go now; return the number removed."""
        removed = 0
        if self._suspensions or self._paused():
            return removed
        if self._pending:
            await self.recover()
        generation = self._generation
        self._kept.begin_sweep()
        for folder in list(self._runtime.folders.settings.values()):
            if folder.after_upload.action == "keep":
                continue
            removed_here, kept = await self._sweep_folder(folder, generation)
            removed += removed_here
            if generation != self._generation:
                return removed
            self._kept.set_counts(folder.path, kept)
        self._kept.end_sweep()
        return removed

    async def _sweep_folder(self, folder: Folder, generation: int) -> tuple[int, Counter[str]]:
        """Sweep one folder; return the number of files removed, and the numbers kept by reason."""
        removed = 0
        kept: Counter[str] = Counter()
        if not self._runtime.remote_ids.keys() >= set(folder.remotes):
            return removed, kept  # a reload is replacing a remote
        ids = self._runtime.ids_of(folder.remotes)
        after = None
        while files := await self._runtime.store.uploaded(folder.path, ids, after=after, limit=BATCH_FILES):
            after = files[-1].path
            reasons = await self._check_all(folder, files)
            ready = [file for file in files if file.path not in reasons]
            reasons |= await self._remove(folder, ready, generation)
            if generation != self._generation:
                break
            removed += len(files) - len(reasons)
            kept.update(reasons.values())
            for file in files:
                if file.path in reasons:
                    self._kept.record(folder.path, file, reasons[file.path])
        return removed, kept

    async def _check_all(self, folder: Folder, files: Sequence[UploadedFile]) -> dict[str, str]:
        """Return the reasons of the files that must stay, by path."""

        async def reason(file: UploadedFile) -> str | None:
            if earlier := self._kept.reason_to_wait(folder.path, file):
                return earlier
            try:
                await self._check.check(folder, file)
            except NotRemovedError as kept:
                return str(kept)
            return None

        async def reasons() -> list[str | None]:
            return await asyncio.gather(*map(reason, files))

        # A suspension cancels the requests to the servers, because it may close their clients.
        self._checking = checking = asyncio.create_task(reasons())
        try:
            await asyncio.wait({checking})
        finally:
            checking.cancel()
            self._checking = None
        if checking.cancelled():
            return {file.path: INTERRUPTED for file in files}
        return {file.path: text for file, text in zip(files, checking.result(), strict=True) if text is not None}

    async def _remove(self, folder: Folder, files: Sequence[UploadedFile], generation: int) -> dict[str, str]:
        """Remove files; return the reasons of those that stay, by path."""
        if not files:
            return {}
        store = self._runtime.store
        requests = [RemovalRequest(file.path, self._check.proven(file), removal.hidden_name()) for file in files]
        ids = await store.begin_removals(folder.path, [(request.path, request.hidden) for request in requests])
        batch = RemovalBatch(folder, self._archives.get(folder.path), self._stop)
        if generation == self._generation and not self._paused():
            await self._run_in_thread(partial(batch.remove, requests))
        await store.end_removals(folder.path, ids, batch.removed)
        event = "file.deleted" if folder.after_upload.action == "delete" else "file.moved"
        for path in batch.removed:
            log.info(event, path=printable(path), folder=printable(folder.path))
        await store.requeue_altered(folder.path, batch.altered)
        for path, reason in batch.kept.items():
            if reason == CHANGED:
                self._runtime.folders.recheck(folder.path, path)
        return batch.kept

    async def _run_in_thread(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread; on cancellation, stop it after the current file."""
        self._removing = removing = asyncio.create_task(asyncio.to_thread(work))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait({removing})
            raise
        finally:
            self._removing = None
