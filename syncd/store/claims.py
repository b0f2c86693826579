"""A job from its claim to what became of it.

A result counts only for the claim that it belongs to: a job that was cancelled, or claimed anew after its lease was
over, is left as it is.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, true, union_all, update

from syncd.core.states import Cause, Outcome, State, transition
from syncd.store import uploads
from syncd.store.files import set_files_gone
from syncd.store.records import Job, StoredContent
from syncd.store.schema import jobs
from syncd.store.transitions import JOBS, UnitOfWork, apply_transition, fingerprint_of, load, load_all

MAX_WAIT_AFTER_RESTART_SECONDS = 2 * 3600.0
"""Seconds that a job may still wait after a restart: one that is due later was likely put off before the clock was set
back, and to be tried at a restart does no harm to any other."""
FILE_CHANGED = "the file changed while it was uploaded"
FILE_GONE = "removed before it was uploaded"
FILE_RENAMED = "the file was renamed before it was uploaded"
CLAIM_INTERRUPTED = "interrupted"
UNPROVEN = "the server named neither hash nor size of what it has"

_CAUSES = {Outcome.UPLOADED: Cause.UPLOADED, Outcome.DUPLICATE: Cause.DUPLICATE}


def _due(state: State, *, large: bool) -> Select[int, float]:
    return (
        select(jobs.c.id, jobs.c.due_at)
        .where(jobs.c.remote_id == bindparam("remote"), jobs.c.state == state, jobs.c.large == large)
        .where(jobs.c.due_at <= bindparam("now") if state is State.WAITING else true())
        .order_by(jobs.c.due_at)
        .limit(bindparam("most_large" if large else "most"))
    )


_KINDS = [(state, large) for state in (State.QUEUED, State.WAITING) for large in (False, True)]
_DUE = union_all(*(select(_due(state, large=large).subquery()) for state, large in _KINDS)).subquery()
_CLAIMABLE = JOBS.join(_DUE, _DUE.c.id == jobs.c.id).order_by(_DUE.c.due_at, _DUE.c.id).limit(bindparam("most"))
"""Each kind comes from the index in its order, so that a claim costs the same however long the queue is."""
_NEXT = select(
    *(
        select(func.min(jobs.c.due_at))
        .where(jobs.c.remote_id == bindparam("remote"), jobs.c.state == state, jobs.c.large == large)
        .scalar_subquery()
        for state, large in _KINDS
    )
)
_ALL_WAITING = update(jobs).where(jobs.c.state == State.WAITING)
_WAITING = _ALL_WAITING.where(jobs.c.remote_id == bindparam("remote"))
_WOKEN = _WAITING.where(jobs.c.key == bindparam("content"))
_EARLIER = _ALL_WAITING.values(due_at=jobs.c.due_at - bindparam("seconds"))
_NOTE = update(jobs).where(jobs.c.id == bindparam("job"), jobs.c.claim == bindparam("number"))


def claim(work: UnitOfWork, remote_id: int, limit: int, *, owner: str, lease: float, large: int) -> list[Job]:
    """Take up to ``limit`` jobs that are due, the longest due first, at most ``large`` of them large."""
    most_large = limit if large < 0 else min(large, limit)
    given = {"remote": remote_id, "now": work.now, "most": limit, "most_large": most_large}
    rows = work.connection.execute(_CLAIMABLE, given).all()
    apply_transition(work, Cause.CLAIMED, rows, lease_owner=owner, lease_until=work.now + lease)
    return [_claimed(row) for row in rows]


def _claimed(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        file_id=row.file_id,
        remote_id=row.remote_id,
        folder=row.folder,
        path=row.path,
        size=row.size,
        fingerprint=fingerprint_of(row),
        version=row.file_version,
        claim=row.claim + 1,
        failures=row.failures,
        key=row.key if row.key_version == row.file_version else None,
    )


def next_due(connection: Connection, remote_id: int, now: float) -> float | None:
    """Return when a job of the remote is due, for a queued one ``now`` or before; None if there is none to come."""
    times = connection.execute(_NEXT, {"remote": remote_id}).one()
    known = [
        min(time, now) if state is State.QUEUED else time
        for (state, _), time in zip(_KINDS, times, strict=True)
        if time is not None
    ]
    return min(known, default=None)


def renew(work: UnitOfWork, owner: str, lease: float) -> None:
    """Put off the end of the leases of ``owner``."""
    work.connection.execute(update(jobs).where(jobs.c.lease_owner == owner), {"lease_until": work.now + lease})


def recover(work: UnitOfWork, owner: str) -> int:
    """Release what others than ``owner`` have claimed; return how many jobs.

    For the one daemon of a state folder, at its start: all others are dead, however long their leases. What waited for
    one of their uploads of the same content would not be woken, so it is due now.
    """
    ids = select(jobs.c.id).where(jobs.c.lease_owner != owner)
    rows = load_all(work.connection, jobs.c.id, work.connection.execute(ids).scalars())
    apply_transition(work, Cause.RELEASED, rows, detail=CLAIM_INTERRUPTED)
    far = jobs.c.due_at > work.now + MAX_WAIT_AFTER_RESTART_SECONDS
    followed = jobs.c.key_version == jobs.c.version
    work.connection.execute(_ALL_WAITING.where(far | followed), {"due_at": work.now})
    return len(rows)


def finish(work: UnitOfWork, job: Job, stored: StoredContent, outcome: Outcome) -> State | None:
    """Take note that the remote has the content, and with it this job's file."""
    values = {"key": stored.key, "key_version": job.version, "ref": stored.ref, "cancelled_sha256": None}
    detail = None if stored.proof else UNPROVEN
    after = finish_claim(work, job, _CAUSES[outcome], detail=detail, values=values)
    if after is not None:
        uploads.record(work, stored)
    return after


def mark_gone(work: UnitOfWork, job: Job) -> State | None:
    """Take note that the file is not there; one that was renamed since the claim is queued under its new name."""
    row = load(work.connection, job.id)
    if row is not None and (row.folder, row.path) != (job.folder, job.path):
        return finish_claim(work, job, Cause.RELEASED, detail=FILE_RENAMED)
    after = finish_claim(work, job, Cause.GONE, detail=FILE_GONE)
    if after is State.SKIPPED:
        set_files_gone(work, [job.file_id])
    return after


def finish_claim(
    work: UnitOfWork, job: Job, cause: Cause, *, detail: str | None = None, values: Mapping[str, object] | None = None
) -> State | None:
    """End the claim; return the job's state after, or None if the claim had ended before.

    If the file has another version meanwhile, the job is queued for that one, whatever became of this one.
    """
    row = load(work.connection, job.id)
    if row is None or row.state is not State.UPLOADING or row.claim != job.claim:
        return None
    if row.file_version != job.version:
        apply_transition(work, Cause.RELEASED, [row], detail=FILE_CHANGED, failures=0)
        return State.QUEUED
    apply_transition(work, cause, [row], detail=detail, **(values or {}))
    return transition(row.state, cause)


def set_content_key(work: UnitOfWork, job: Job, key: str) -> None:
    """Keep the content key of the version that was claimed."""
    given = {"job": job.id, "number": job.claim, "key": key, "key_version": job.version}
    work.connection.execute(_NOTE, given)


def wake(work: UnitOfWork, remote_id: int, key: str) -> int:
    """Make the waiting jobs of a content due; return how many."""
    given = {"remote": remote_id, "content": key, "due_at": work.now}
    return work.connection.execute(_WOKEN, given).rowcount


def shift_due_times(work: UnitOfWork, seconds: float) -> None:
    """Have the waiting jobs due when they were to be, though the clock was set back by ``seconds``."""
    work.connection.execute(_EARLIER, {"seconds": seconds})
