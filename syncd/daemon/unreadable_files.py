"""Queues files that could not be read again once they can be read.

An attempt that cannot read its file fails the job (:mod:`syncd.upload.upload`), because a user must act. No event
reports reliably that a file has become readable: the permission may have changed in a parent directory or in a rule of
the system. So this task opens the files from time to time, and sends nothing.
"""

import asyncio
import os
from collections.abc import Sequence
from functools import partial

from syncd.core.errors import Failure
from syncd.core.states import Cause, State
from syncd.daemon.runtime import ListenerOrder, Runtime
from syncd.platform.file_info import read_at
from syncd.store.records import Change, UnreadableJob
from syncd.upload.source import open_regular

CHECK_INTERVAL_SECONDS = 2.0
"""Shortest pause between two checks."""
CHECK_PAUSE_FACTOR = 20
"""A pause after a check lasts at least this many times as long as the check."""
MAX_PAUSE_SECONDS = 3600.0
"""Longest pause after a file could be opened, but its upload could not read it again."""
BATCH_JOBS = 500


class UnreadableFiles:
    """The jobs whose files cannot be read."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._jobs: dict[int, UnreadableJob] = {}
        self._pauses: dict[int, float] = {}  # of the jobs that this task has queued again
        self._not_before: dict[int, float] = {}
        self._found = asyncio.Event()
        runtime.store.changes.subscribe(self._on_change, order=ListenerOrder.UNREADABLE_FILES)

    @property
    def count(self) -> int:
        """The number of files that cannot be read.

        A file counts once, however many remotes it goes to.
        """
        remotes = self._runtime.remote_ids
        return len({(job.folder, job.path) for job in self._jobs.values() if job.remote in remotes})

    def _on_change(self, change: Change) -> None:
        if change.cause is Cause.UNREADABLE:
            self._add(UnreadableJob(id=change.job_id, folder=change.folder, path=change.path, remote=change.remote))
            return
        self._jobs.pop(change.job_id, None)
        if change.after in (State.DONE, State.SKIPPED):
            self._pauses.pop(change.job_id, None)

    def _add(self, job: UnreadableJob) -> None:
        self._jobs[job.id] = job
        pause = self._pauses.get(job.id, 0.0)
        self._not_before[job.id] = _now() + pause
        self._found.set()

    async def load(self) -> None:
        """Read the jobs of earlier runs."""
        for job in await self._runtime.store.unreadable_jobs(list(self._runtime.remote_ids.values())):
            self._add(job)

    async def run(self) -> None:
        """Check the files until cancelled."""
        while True:
            await self._found.wait()
            self._found.clear()
            while self._jobs:
                started = _now()
                await self.check()
                await asyncio.sleep(max(CHECK_INTERVAL_SECONDS, CHECK_PAUSE_FACTOR * (_now() - started)))

    async def check(self) -> None:
        """Queue the files that can be read now."""
        now = _now()
        self._not_before = {job: at for job, at in self._not_before.items() if job in self._jobs}
        due = [job for job in self._jobs if self._not_before.get(job, 0.0) <= now]
        for start in range(0, len(due), BATCH_JOBS):
            batch = due[start : start + BATCH_JOBS]
            found = await self._runtime.store.unreadable_among(batch)
            for job in set(batch) - {each.id for each in found}:  # changed before load() had read it
                self._jobs.pop(job, None)
            readable = await asyncio.to_thread(partial(self._readable, found))
            for job in readable:
                self._pauses[job] = min(MAX_PAUSE_SECONDS, 2 * self._pauses.get(job, CHECK_INTERVAL_SECONDS))
            await self._runtime.store.requeue_readable(readable)

    def _readable(self, jobs: Sequence[UnreadableJob]) -> list[int]:
        """Return the ids of the jobs whose files can be read. Blocks."""
        policy = self._runtime.folders.policy
        return [job.id for job in jobs if _is_readable(job, follow_symlinks=policy(job.folder).follow_symlinks)]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_readable(job: UnreadableJob, *, follow_symlinks: bool) -> bool:
    """Return whether a byte of the file can be read.

    Returns False if the file is gone; the watch reports that.
    """
    try:
        descriptor = open_regular(job.folder, job.path, follow_symlinks=follow_symlinks)
    except Failure:
        return False
    try:
        read_at(descriptor, 1, 0)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
