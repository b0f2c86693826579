"""The job store as the workers use it, and writes that outlive their caller."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from syncd.core.model import ClaimOrder, Session, Stored
from syncd.core.states import Outcome, State
from syncd.store.records import CancelledJob, ContentQuery, ContentRecords, Job

T = TypeVar("T")

WRITE_DEADLINE_SECONDS = 0.5
"""Longest wait for the store at the end of a job, because the process may be shutting down."""


class JobQueue(Protocol):
    """The job store as the workers use it. Times are in seconds since the epoch.

    A call returns after its change was committed; a result is on the disk then. The calls that end a claim return the
    job's new state, or None if the claim had ended already and nothing changed. All calls raise ``StoreClosedError``
    after the store was closed.
    """

    async def claim(
        self,
        remote_id: int,
        limit: int,
        *,
        owner: str,
        lease: float,
        large: int = -1,
        order: ClaimOrder = ClaimOrder.OLDEST,
        new_turn: bool = True,
        only_new: bool = False,
    ) -> list[Job]:
        """Claim up to ``limit`` due jobs for ``lease`` seconds.

        At most ``large`` of them are for large files; -1 means any number. ``new_turn`` gives the odd place of
        ``ClaimOrder.FAIR`` to a new file. ``only_new`` leaves out the backlog.
        """

    async def next_due(self, remote_id: int) -> float | None:
        """Return the time at which the next job of the remote is due, or None if no job waits."""

    async def renew(self, owner: str, lease: float) -> None:
        """Extend the leases of ``owner`` to ``lease`` seconds from now."""

    async def finish(
        self,
        job: Job,
        *,
        key: str,
        stored: Stored,
        outcome: Outcome,
        sha256: str | None = None,
        terms: str = "",
        expires: bool = False,
    ) -> State | None:
        """Record that the remote has the job's content."""

    async def defer(self, job: Job, *, due_at: float, failures: int, detail: str) -> State | None:
        """Make a job wait for its next attempt until ``due_at``."""

    async def release(self, job: Job, detail: str) -> State | None:
        """Return a job to its place in the queue."""

    async def refuse(self, job: Job, detail: str) -> State | None:
        """Mark a job as failed until a user acts."""

    async def mark_unreadable(self, job: Job, detail: str) -> State | None:
        """Mark a job as failed until its file can be read."""

    async def skip(self, job: Job, detail: str) -> State | None:
        """Skip a job whose file cannot be uploaded as it is."""

    async def mark_gone(self, job: Job) -> State | None:
        """Skip a job whose file is gone."""

    async def cancelled_alike(self, job: Job, sha256: str) -> list[CancelledJob]:
        """Return the jobs of the same remote whose upload of this content a user cancelled.

        ``job`` itself may be among them.
        """

    async def cancel_again(self, job: Job, sha256: str) -> State | None:
        """Cancel a job because a user has cancelled its content before."""

    async def set_content_key(self, job: Job, key: str) -> None:
        """Record the content key of a job's file."""

    async def wake(self, remote_id: int, key: str) -> int:
        """Make the waiting jobs with this content due now; return their number."""

    async def shift_due_times(self, seconds: float) -> None:
        """Move all due times back by ``seconds``, because the wall clock was set back."""

    async def content_records(self, query: ContentQuery) -> ContentRecords:
        """Return what is known of a content; calls at the same time share their statements."""

    async def forget_content(self, remote_id: int, key: str) -> None:
        """Record that the remote no longer has a content."""

    async def save_session(self, remote_id: int, key: str, session: Session) -> None:
        """Save a session; it replaces an earlier session of the content."""

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        """Record that the server has a chunk, if the saved session still has this ``token``."""

    async def require_verification(self, remote_id: int, key: str) -> None:
        """Record that the server's copy must be compared at the end of the session."""

    async def drop_session(self, remote_id: int, key: str) -> None:
        """Delete the session of a content."""

    async def save_capabilities(self, remote_id: int, capabilities: Mapping[str, int]) -> None:
        """Save the limits that the client has learned about a server."""


class BackgroundWrites:
    """Writes to the store that are completed even if their caller is cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, write: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start ``write`` and return its task.

        An error is ignored unless the caller awaits the task.
        """
        task = asyncio.create_task(write)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait_briefly(self, write: Coroutine[Any, Any, object]) -> None:
        """Start ``write`` and wait for it, but at most ``WRITE_DEADLINE_SECONDS``.

        The disk may be full. The next start of the process recovers jobs whose end was not written.
        """
        await asyncio.wait({self.start(write)}, timeout=WRITE_DEADLINE_SECONDS)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it: the store was closed
