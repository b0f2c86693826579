"""The engine as a whole: a lane for each remote, started and stopped together."""

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import Any

from syncd.upload.job_queue import JobQueue
from syncd.upload.transfer import Progress
from syncd.upload.worker import LEASE_SECONDS, RemoteWorker

DRAIN_SECONDS = 2.5
"""Seconds that running uploads get to reach a chunk boundary before they are cut off.

A stop may take five: on a busy machine the rest of it, down to the end of the interpreter, needs the other half."""


class Scheduler:
    """Holds the lanes. ``owner`` is the name under which this process leases jobs."""

    def __init__(self, store: JobQueue, *, owner: str, failed: Callable[[BaseException], None]) -> None:
        self.workers: dict[str, RemoteWorker] = {}
        self.paused = False
        self._store = store
        self._owner = owner
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._renewal: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the leases of running jobs from now on."""
        self._renewal = self._supervised(self._renew(), "leases")

    def add(self, worker: RemoteWorker) -> None:
        """Run a lane."""
        self.workers[worker.name] = worker
        if self.paused:
            worker.pause()
        self._tasks[worker.name] = self._supervised(worker.run(), f"lane:{worker.name}")

    async def remove(self, name: str) -> None:
        """Stop a lane at a chunk boundary, or at once when cancelled, and close its remote."""
        worker, task = self.workers.pop(name), self._tasks.pop(name)
        try:
            await self._end([worker])
        finally:
            await worker.cancel()
            await _cancelled(task)
            await worker.endpoint.remote.close()

    def wake(self) -> None:
        """Look again for jobs that are due."""
        for worker in self.workers.values():
            worker.wake()

    def resume(self) -> None:
        """Upload."""
        self.paused = False
        for worker in self.workers.values():
            worker.resume()

    async def pause(self, *, now: bool) -> None:
        """Stop uploading: at the next chunk boundary, or at once."""
        self.paused = True
        for worker in self.workers.values():
            worker.pause()
        for worker in list(self.workers.values()):  # a reload may change them meanwhile
            await (worker.cancel() if now else worker.drain())

    async def cancel(self, job_ids: Container[int]) -> None:
        """End these jobs, wherever they are."""
        for worker in list(self.workers.values()):
            await worker.cancel(job_ids)

    def progress(self) -> list[Progress]:
        """Return how far the running jobs are."""
        return [progress for worker in self.workers.values() for progress in worker.progress()]

    async def close(self) -> None:
        """Stop in order, within a few seconds."""
        await self._end(list(self.workers.values()))
        for task in [*self._tasks.values(), *([self._renewal] if self._renewal else [])]:
            await _cancelled(task)
        self._tasks.clear()
        for worker in self.workers.values():
            await worker.endpoint.remote.close()

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
        """Run ``work``; if it dies, the daemon must not go on as if nothing were."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failed(error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
