"""What the engine asks of the job store: no more than stands here, so that any store that can do this will do."""

from collections.abc import Mapping
from typing import Protocol

from syncd.core.model import Session, Stored
from syncd.core.states import Outcome, State
from syncd.store.records import CancelledJob, Job, StoredContent


class JobQueue(Protocol):
    """The store, as the engine sees it. Times are seconds since the epoch.

    A call returns when its change is on the disk. A result returns the state after it, or None where the claim was over
    and nothing changed. ``StoreClosedError`` after the store was closed.
    """

    async def claim(self, remote_id: int, limit: int, *, owner: str, lease: float, large: int = -1) -> list[Job]:
        """Take up to ``limit`` jobs that are due, at most ``large`` of them of large files."""

    async def next_due(self, remote_id: int) -> float | None:
        """Return when a job of the remote is due; None if there is none to come."""

    async def renew(self, owner: str, lease: float) -> None:
        """Let the leases of ``owner`` end ``lease`` seconds from now."""

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
        """End a job whose content the remote has."""

    async def defer(self, job: Job, *, due_at: float, failures: int, detail: str) -> State | None:
        """Have a job wait for its next try."""

    async def release(self, job: Job, detail: str) -> State | None:
        """Put a job back in the queue, at its old place."""

    async def refuse(self, job: Job, detail: str) -> State | None:
        """Leave a job to a person."""

    async def skip(self, job: Job, detail: str) -> State | None:
        """End a job whose file can't be uploaded as it is."""

    async def mark_gone(self, job: Job) -> State | None:
        """End a job whose file is not there any more."""

    async def cancelled_alike(self, job: Job, sha256: str) -> list[CancelledJob]:
        """Return the jobs of the same remote that a person cancelled with this content, ``job`` itself among them."""

    async def cancel_again(self, job: Job, sha256: str) -> State | None:
        """Give a job up whose content a person has cancelled before."""

    async def set_content_key(self, job: Job, key: str) -> None:
        """Keep the content key that hashing has found."""

    async def wake(self, remote_id: int, key: str) -> int:
        """Make the waiting jobs with that content due; return how many."""

    async def shift_due_times(self, seconds: float) -> None:
        """Take note that the clock was set back: all waiting jobs are due when they were to be."""

    async def content(self, remote_id: int, key: str) -> StoredContent | None:
        """Return a content that the remote is known to have."""

    async def uploaded_before(self, key: str, sha256: str | None) -> list[StoredContent]:
        """Return as what any remote has had a file of these bytes; ``key`` finds those without a SHA-256."""

    async def forget_content(self, remote_id: int, key: str) -> None:
        """Keep that the remote does not have a content after all."""

    async def session(self, remote_id: int, key: str) -> Session | None:
        """Return the upload of a content that is under way, with the chunks that were acknowledged."""

    async def save_session(self, remote_id: int, key: str, session: Session) -> None:
        """Keep a session in place of an earlier one of that content."""

    async def acknowledge(self, remote_id: int, key: str, token: str, index: int) -> None:
        """Keep that a chunk has arrived, if the session is still the one that ``token`` names."""

    async def require_verification(self, remote_id: int, key: str) -> None:
        """Record that the server's copy must be compared at the end of the session."""

    async def drop_session(self, remote_id: int, key: str) -> None:
        """Forget the session."""

    async def save_capabilities(self, remote_id: int, capabilities: Mapping[str, int]) -> None:
        """Keep what was learned about a server."""
