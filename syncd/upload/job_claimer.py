"""Claims jobs from the store for one worker, in the configured order.

:mod:`~syncd.upload.worker` decides how many jobs it can run; :mod:`syncd.store.claim_order` selects them.
"""

import asyncio
from collections.abc import Iterable

from syncd.core.model import ClaimOrder
from syncd.store.records import Job
from syncd.upload.context import WorkerContext
from syncd.upload.job_queue import BackgroundWrites
from syncd.upload.upload import STOPPED

LEASE_SECONDS = 60.0
NEW_AHEAD = 4
"""New files claimed at once while no place is free: without this, they would wait for a quarter of the places."""


class JobClaimer:
    """Claims the jobs of the remote ``remote_id``. ``order`` may change at any time."""

    def __init__(self, remote_id: int, context: WorkerContext, writes: BackgroundWrites) -> None:
        self.order = ClaimOrder.FAIR
        self._remote_id = remote_id
        self._context = context
        self._store = context.store
        self._writes = writes
        self._new_queued = False
        self._new_turn = False

    def new_file_queued(self) -> None:
        """Record that a new file was queued since the last claim."""
        self._new_queued = True

    def claims_new_at_once(self, running: Iterable[Job]) -> bool:
        """Return whether to claim new files without waiting for a place.

        True if new files were queued and none is ``running``.
        """
        return self._new_queued and self.order is not ClaimOrder.OLDEST and all(job.backlog for job in running)

    def goes_first(self, job: Job) -> bool:
        """Return whether a claimed job gets a request slot before the backlog."""
        return self.order is not ClaimOrder.OLDEST and not job.backlog

    async def claim(self, limit: int, *, large: int, only_new: bool) -> list[Job]:
        """Claim jobs as :meth:`JobQueue.claim` does.

        If cancelled before the claim ends, returns the jobs to the queue.
        """
        self._new_queued = False
        self._new_turn = not self._new_turn
        claiming = self._writes.start(
            self._store.claim(
                self._remote_id,
                limit,
                owner=self._context.owner,
                lease=LEASE_SECONDS,
                large=large,
                order=self.order,
                new_turn=self._new_turn,
                only_new=only_new,
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._release_claimed)
            raise

    def _release_claimed(self, claiming: asyncio.Task[list[Job]]) -> None:
        if not claiming.cancelled() and not claiming.exception():
            for job in claiming.result():
                self._writes.start(self._store.release(job, STOPPED))
