"""The engine as a whole: a lane for each remote, started and stopped together."""

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import Any

from syncd.engine.lane import LEASE, Lane
from syncd.engine.ports import Jobs
from syncd.engine.upload import Progress

DRAIN = 2.5
"""Seconds that running uploads get to reach a chunk boundary before they are cut off.

A stop may take five: on a busy machine the rest of it, down to the end of the interpreter, needs the other half."""


class Scheduler:
    """Holds the lanes. ``owner`` is the name under which this process leases jobs."""

    def __init__(self, store: Jobs, *, owner: str, failed: Callable[[BaseException], None]) -> None:
        self.lanes: dict[str, Lane] = {}
        self.paused = False
        self._store = store
        self._owner = owner
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._renewal: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the leases of running jobs from now on."""
        self._renewal = self._supervised(self._renew(), "leases")

    def add(self, lane: Lane) -> None:
        """Run a lane."""
        self.lanes[lane.name] = lane
        if self.paused:
            lane.pause()
        self._tasks[lane.name] = self._supervised(lane.run(), f"lane:{lane.name}")

    async def remove(self, name: str) -> None:
        """Stop a lane at a chunk boundary, or at once when cancelled, and close its remote."""
        lane, task = self.lanes.pop(name), self._tasks.pop(name)
        try:
            await self._end([lane])
        finally:
            await lane.cancel()
            await _cancelled(task)
            await lane.line.remote.close()

    def wake(self) -> None:
        """Look again for jobs that are due."""
        for lane in self.lanes.values():
            lane.wake()

    def resume(self) -> None:
        """Upload."""
        self.paused = False
        for lane in self.lanes.values():
            lane.resume()

    async def pause(self, *, now: bool) -> None:
        """Stop uploading: at the next chunk boundary, or at once."""
        self.paused = True
        for lane in self.lanes.values():
            lane.pause()
        for lane in list(self.lanes.values()):  # a reload may change them meanwhile
            await (lane.cancel() if now else lane.drain())

    async def cancel(self, job_ids: Container[int]) -> None:
        """End these jobs, wherever they are."""
        for lane in list(self.lanes.values()):
            await lane.cancel(job_ids)

    def progress(self) -> list[Progress]:
        """Return how far the running jobs are."""
        return [progress for lane in self.lanes.values() for progress in lane.progress()]

    async def close(self) -> None:
        """Stop in order, within a few seconds."""
        await self._end(list(self.lanes.values()))
        for task in [*self._tasks.values(), *([self._renewal] if self._renewal else [])]:
            await _cancelled(task)
        self._tasks.clear()
        for lane in self.lanes.values():
            await lane.line.remote.close()

    async def _end(self, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.pause()
        try:
            async with asyncio.timeout(DRAIN):
                await asyncio.gather(*(lane.drain() for lane in lanes))
        except TimeoutError:
            await asyncio.gather(*(lane.cancel() for lane in lanes))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            await self._store.renew(self._owner, LEASE)

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
