"""Starts and stops the workers of all remotes, and renews the leases of their jobs."""

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import Any

from syncd.asyncio_tools import cancel_and_wait, on_failure
from syncd.upload.job_claimer import LEASE_SECONDS
from syncd.upload.job_queue import JobQueue
from syncd.upload.transfer import Progress
from syncd.upload.worker import RemoteWorker

DRAIN_SECONDS = 2.5
"""Time for running uploads to reach a chunk boundary before they are cancelled.

A shutdown may take 5 s, and its other steps may need the other half on a busy machine."""


class Scheduler:
    """Runs the workers.

    ``owner`` is the name under which this process leases jobs. ``failed`` is called with the exception if a worker
    fails.
    """

    def __init__(self, store: JobQueue, *, owner: str, failed: Callable[[BaseException], None]) -> None:
        self.workers: dict[str, RemoteWorker] = {}
        self.paused = False
        self._store = store
        self._owner = owner
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._removed: dict[RemoteWorker, asyncio.Task[None]] = {}
        """The removed workers that have not ended; :meth:`close` ends those whose removal was cancelled."""
        self._renewal: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to renew the leases of running jobs."""
        self._renewal = self._supervised(self._renew(), "leases")

    def add(self, worker: RemoteWorker) -> None:
        """Run a worker."""
        self.workers[worker.name] = worker
        if self.paused:
            worker.pause()
        self._tasks[worker.name] = self._supervised(worker.run(), f"worker:{worker.name}")

    async def remove(self, name: str) -> None:
        """Stop a worker at a chunk boundary, or at once if cancelled, and close its remote."""
        worker = self.workers.pop(name)
        self._removed[worker] = self._tasks.pop(name)
        try:
            await self._end([worker])
        finally:
            await self._end_removed(worker)

    def wake(self) -> None:
        """Make all workers look for due jobs now."""
        for worker in self.workers.values():
            worker.wake()

    def resume(self) -> None:
        """Resume uploading."""
        self.paused = False
        for worker in self.workers.values():
            worker.resume()

    async def pause(self, *, now: bool) -> None:
        """Pause uploading, at the next chunk boundary or at once."""
        self.paused = True
        for worker in self.workers.values():
            worker.pause()
        for worker in list(self.workers.values()):  # a copy: a reload may change the workers
            await (worker.cancel() if now else worker.drain())

    async def stop(self) -> None:
        """Pause all workers and end their attempts: no job is uploading afterwards.

        An attempt ends at its next chunk boundary, and is cancelled after ``DRAIN_SECONDS``.
        """
        self.paused = True
        workers = list(self.workers.values())
        await self._end(workers)
        await asyncio.gather(*(worker.drain() for worker in workers))  # a claim that was slower than that

    async def cancel(self, job_ids: Container[int]) -> None:
        """Cancel these jobs in all workers."""
        for worker in list(self.workers.values()):
            await worker.cancel(job_ids)

    def progress(self) -> list[Progress]:
        """Return the progress of the running jobs."""
        return [progress for worker in self.workers.values() for progress in worker.progress()]

    async def close(self) -> None:
        """Stop all workers within ``DRAIN_SECONDS`` and a little more, and close their remotes."""
        await self._end(list(self.workers.values()))
        await cancel_and_wait(*self._tasks.values(), *([self._renewal] if self._renewal else []))
        self._tasks.clear()
        for worker in self.workers.values():
            await worker.endpoint.remote.close()
        for worker in list(self._removed):
            await self._end_removed(worker)

    async def _end_removed(self, worker: RemoteWorker) -> None:
        await worker.cancel()
        if task := self._removed.get(worker):
            await cancel_and_wait(task)
        await worker.endpoint.remote.close()
        self._removed.pop(worker, None)

    async def _end(self, workers: list[RemoteWorker]) -> None:
        for worker in workers:
            worker.pause()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(worker.drain() for worker in workers))
        except TimeoutError:
            await asyncio.gather(*(worker.cancel() for worker in workers))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await self._store.renew(self._owner, LEASE_SECONDS)

    def _supervised(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run ``work`` as a task that reports its failure to the daemon."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(on_failure(self._failed))
        return task
