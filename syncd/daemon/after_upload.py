"""Deletes or moves local files after their upload: ``after_upload: keep | delete | {move: DIR}``.

Driven by the store alone, so that the next start makes up for a crash between the confirmation and the removal. Each
removal is written down before the file is touched; what a crash interrupts is put back under its own name.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from syncd.config.model import Folder
from syncd.core.states import State
from syncd.core.text import printable
from syncd.daemon.deletion_check import DeletionCheck
from syncd.daemon.kept_files import AGAIN, KeptFiles
from syncd.daemon.runtime import ListenerOrder, Runtime
from syncd.platform import removal
from syncd.platform.removal import CHANGED, INTERRUPTED, Altered, Kept, Proven, Target
from syncd.store.records import Change, UploadedFile

log = structlog.get_logger()

BATCH = 200
"""Files that are removed between two writes to the store."""
GATHER = 0.5
"""Seconds between two sweeps at least, for several files to gather."""
SHARE = 10
"""So many times as long as a sweep took is the pause after it, as far as it found nothing but files that are kept."""


class AfterUpload:
    """Deletes or moves what was uploaded, in the folders that ask for it."""

    def __init__(self, runtime: Runtime, *, stopped: Callable[[], bool] = lambda: False) -> None:
        self._runtime = runtime
        self._stopped = stopped
        self._check = DeletionCheck(runtime, clock=time.time)
        self._wake = asyncio.Event()
        self._prompt = asyncio.Event()
        self._targets: dict[str, Target] = {}
        self._kept = KeptFiles()
        self._pending: set[str] = set()  # folders in which an interrupted removal can't be undone yet
        self._suspensions = 0
        self._generation = 0
        self._stop = threading.Event()
        self._judging: asyncio.Task[list[str | None]] | None = None
        self._removing: asyncio.Task[None] | None = None
        runtime.store.changes.subscribe(self._noticed, order=ListenerOrder.AFTER_UPLOAD)

    def _noticed(self, change: Change) -> None:
        if change.after is State.DONE:
            self._wake.set()

    # What others ask of it.

    def detail(self, folder: str) -> str | None:
        """Return how many files of a folder are kept that were to be deleted or moved, and why; None if none is."""
        return self._kept.detail(folder)

    def wake(self) -> None:
        """Look at once for files that may go."""
        self._prompt.set()
        self._wake.set()

    @asynccontextmanager
    async def suspended(self) -> AsyncGenerator[None]:
        """Begin no removal as long as the context lasts, which begins when the one in progress is finished."""
        self._suspensions += 1
        self._generation += 1
        self._stop.set()
        try:
            if self._judging is not None:
                self._judging.cancel()
            while under_way := {each for each in (self._judging, self._removing) if each is not None}:
                await asyncio.wait(under_way)
            yield
        finally:
            self._suspensions -= 1
            if not self._suspensions:
                self._stop.clear()
            self.wake()

    async def take_over(self) -> None:
        """Make the directories that files are moved to, as the configuration says now, and forget what was kept."""
        folders = self._runtime.folders.settings.values()
        wanted = {
            folder.path: str(folder.after_upload.directory) for folder in folders if folder.after_upload.directory
        }
        self._targets = {
            path: self._targets[path]
            if path in self._targets and self._targets[path].path == directory
            else Target(directory)
            for path, directory in wanted.items()
        }
        for target in self._targets.values():
            if not target.made:
                await asyncio.to_thread(target.make)
        self._kept.reset({folder.path for folder in folders if folder.after_upload.action != "keep"})

    async def affected(self, folder: Folder) -> int:
        """Count the files that are uploaded and still here, and so are the first to go."""
        if not self._runtime.remote_ids.keys() >= set(folder.remotes):
            return 0
        return await self._runtime.store.uploaded_count(folder.path, self._runtime.ids_of(folder.remotes))

    async def recover(self) -> None:
        """Put back what a removal that was interrupted has hidden, as far as its folder is there; begin with this."""
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
            self._prompt.clear()
            started = time.monotonic()
            removed = await self.sweep()
            kept = self._kept.total
            in_vain = (time.monotonic() - started) * kept / max(1, kept + removed)
            await _either(self._prompt, max(GATHER, SHARE * in_vain))
            await _either(self._wake, AGAIN)

    async def sweep(self) -> int:
        """Remove all that may go now; return how many files that were."""
        removed = 0
        if self._suspensions or self._stopped():
            return removed
        if self._pending:
            await self.recover()
        generation = self._generation
        self._kept.begin_sweep()
        for folder in list(self._runtime.folders.settings.values()):
            if folder.after_upload.action == "keep":
                continue
            gone, kept = await self._sweep_folder(folder, generation)
            removed += gone
            if generation != self._generation:
                return removed
            self._kept.swept(folder.path, kept)
        self._kept.end_sweep()
        return removed

    # One folder.

    async def _sweep_folder(self, folder: Folder, generation: int) -> tuple[int, Counter[str]]:
        """Remove what may go; return how many files that were, and how many are kept, by reason."""
        removed = 0
        kept: Counter[str] = Counter()
        if not self._runtime.remote_ids.keys() >= set(folder.remotes):
            return removed, kept  # in the middle of a reload
        ids = self._runtime.ids_of(folder.remotes)
        after = None
        while files := await self._runtime.store.uploaded(folder.path, ids, after=after, limit=BATCH):
            after = files[-1].path
            reasons = await self._judge(folder, files)
            ready = [file for file in files if file.path not in reasons]
            reasons |= await self._remove(folder, ready, generation)
            if generation != self._generation:
                break
            removed += len(files) - len(reasons)
            kept.update(reasons.values())
            for file in files:
                if file.path in reasons:
                    self._kept.note(folder.path, file, reasons[file.path])
        return removed, kept

    async def _judge(self, folder: Folder, files: Sequence[UploadedFile]) -> dict[str, str]:
        """Return why files are kept, by path; the others may go."""

        async def reason(file: UploadedFile) -> str | None:
            if before := self._kept.reason_to_wait(folder.path, file):
                return before
            try:
                await self._check.check(folder, file)
            except Kept as kept:
                return str(kept)
            return None

        async def reasons() -> list[str | None]:
            return await asyncio.gather(*map(reason, files))

        # A suspension ends the questions to the servers: their clients may be closed during it.
        self._judging = judging = asyncio.create_task(reasons())
        try:
            await asyncio.wait({judging})
        finally:
            judging.cancel()
            self._judging = None
        if judging.cancelled():
            return {file.path: INTERRUPTED for file in files}
        return {file.path: why for file, why in zip(files, judging.result(), strict=True) if why is not None}

    async def _remove(self, folder: Folder, files: Sequence[UploadedFile], generation: int) -> dict[str, str]:
        """Remove files; return why those that stay do."""
        if not files:
            return {}
        store = self._runtime.store
        orders = [_Order(file.path, self._check.proven(file), removal.hidden_name()) for file in files]
        ids = await store.begin_removals(folder.path, [(order.path, order.hidden) for order in orders])
        batch = _Batch(folder, self._targets.get(folder.path), self._stop)
        if generation == self._generation and not self._stopped():
            await self._finish(partial(batch.remove, orders))
        await store.end_removals(folder.path, ids, batch.removed)
        event = "file.deleted" if folder.after_upload.action == "delete" else "file.moved"
        for path in batch.removed:
            log.info(event, path=printable(path), folder=printable(folder.path))
        await store.requeue_altered(folder.path, batch.altered)
        for path, reason in batch.kept.items():
            if reason == CHANGED:
                self._runtime.folders.doubt(folder.path, path)
        return batch.kept

    async def _finish(self, work: Callable[[], None]) -> None:
        """Do ``work`` in a thread; a cancellation ends it between two files, and is waited for."""
        self._removing = removing = asyncio.create_task(asyncio.to_thread(work))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait({removing})
            raise
        finally:
            self._removing = None


@dataclass(frozen=True, slots=True)
class _Order:
    """A file that is to be removed, and the name that it has for a moment."""

    path: str
    proven: Proven
    hidden: str


class _Batch:
    """Removes files of one folder, one after the other, in a thread; ``stop`` ends it between two."""

    def __init__(self, folder: Folder, target: Target | None, stop: threading.Event) -> None:
        self._folder = folder
        self._target = target
        self._stop = stop
        self.removed: list[str] = []
        self.altered: list[str] = []
        self.kept: dict[str, str] = {}
        """Why files stay, by path."""

    def remove(self, orders: Sequence[_Order]) -> None:
        """Do it, as far as ``stop`` allows."""
        for order in orders:
            if self._stop.is_set():
                return
            if reason := self._reason_to_stay(order):
                self.kept[order.path] = reason
            else:
                self.removed.append(order.path)

    def _reason_to_stay(self, order: _Order) -> str | None:
        try:
            removal.remove(
                self._folder.path, order.path, order.proven, order.hidden, target=self._target, stop=self._stop
            )
        except Altered as kept:
            self.altered.append(order.path)
            return str(kept)
        except Kept as kept:
            return str(kept)
        except FileNotFoundError:  # the watch finds out what became of it
            return CHANGED
        except OSError as error:
            return error.strerror or str(error)
        return None


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
