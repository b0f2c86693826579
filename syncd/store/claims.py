"""Claims jobs for workers and records the results.

A result counts only for the claim that it belongs to. If the job was cancelled or claimed again since then, because its
lease had expired, the result changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from syncd.core.model import ClaimOrder, Stored
from syncd.core.states import Cause, Outcome, State, transition
from syncd.store import uploads
from syncd.store.claim_order import due_jobs
from syncd.store.files import set_files_gone
from syncd.store.job_rows import fingerprint_of, load, load_all
from syncd.store.records import Job, StoredContent
from syncd.store.schema import jobs, remotes
from syncd.store.transitions import Transition, UnitOfWork, apply_transition, apply_transitions

MAX_WAIT_AFTER_RESTART_SECONDS = 2 * 3600.0
"""Jobs that would wait longer than this after a restart are due at once.

Such a job was probably deferred before the clock was set back, and one early attempt does no harm.
"""
FILE_CHANGED = "the file changed while it was uploaded"
FILE_GONE = "removed before it was uploaded"
FILE_RENAMED = "the file was renamed before it was uploaded"
CLAIM_INTERRUPTED = "interrupted"
UNPROVEN = "the server named neither hash nor size of what it has"

_CAUSES = {Outcome.UPLOADED: Cause.UPLOADED, Outcome.DUPLICATE: Cause.DUPLICATE}


_WAITING = update(jobs).where(jobs.c.state == State.WAITING, jobs.c.remote_id == bindparam("remote"))
_ALL_WAITING = update(jobs).where(
    jobs.c.remote_id.in_(select(remotes.c.id)), jobs.c.state == State.WAITING, jobs.c.large.in_((False, True))
)
"""Names all columns of ``jobs_by_due`` up to ``due_at``, so that SQLite searches the index instead of the table."""
_WAITING_FOR_CONTENT = _WAITING.where(jobs.c.key == bindparam("content"))
_SHIFT_DUE_TIMES = _ALL_WAITING.values(due_at=jobs.c.due_at - bindparam("seconds"))
_SET_KEY = update(jobs).where(jobs.c.id == bindparam("job"), jobs.c.claim == bindparam("number"))


def claim(
    work: UnitOfWork,
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
    """Claim up to ``limit`` due jobs for ``owner``.

    :func:`~syncd.store.claim_order.due_jobs` selects them. The lease lasts ``lease`` seconds.

    At most ``large`` of the jobs have files of :data:`~syncd.store.records.LARGE_FILE_BYTES` or more; -1 means no
    limit.
    """
    most_large = limit if large < 0 else min(large, limit)
    rows = due_jobs(
        work.connection,
        remote_id,
        work.now,
        limit,
        large=most_large,
        order=order,
        new_turn=new_turn,
        only_new=only_new,
    )
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
        backlog=row.backlog,
    )


def renew(work: UnitOfWork, owner: str, lease: float) -> None:
    """Extend all leases of ``owner`` to ``lease`` seconds from now."""
    work.connection.execute(update(jobs).where(jobs.c.lease_owner == owner), {"lease_until": work.now + lease})


def recover(work: UnitOfWork, owner: str) -> int:
    """Release the jobs that others than ``owner`` have claimed; return the number of jobs.

    To be called at startup by the only daemon of a state directory: the other owners have ended, whatever their leases
    say. Jobs that waited for an interrupted upload of the same content are due now, because nothing else wakes them.
    """
    # Without IS NOT NULL, SQLite reads the whole index, which contains every job.
    ids = select(jobs.c.id).where(jobs.c.lease_owner.is_not(None), jobs.c.lease_owner != owner)
    rows = load_all(work.connection, jobs.c.id, work.connection.execute(ids).scalars())
    apply_transition(work, Cause.RELEASED, rows, detail=CLAIM_INTERRUPTED)
    waits_too_long = jobs.c.due_at > work.now + MAX_WAIT_AFTER_RESTART_SECONDS
    has_known_content = jobs.c.key_version == jobs.c.version
    work.connection.execute(_ALL_WAITING.where(waits_too_long | has_known_content), {"due_at": work.now})
    return len(rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A job whose content ``key`` the remote has.

    ``sha256`` is the hash of the file's own bytes. ``terms`` are the storage terms of the upload; ``expires`` says that
    the server deletes the content at some time.
    """

    job: Job
    key: str
    stored: Stored
    outcome: Outcome
    sha256: str | None = None
    terms: str = ""
    expires: bool = False


def finish_all(work: UnitOfWork, finished: Sequence[Finished]) -> list[State | None]:
    """Record that the remotes have the contents of these jobs.

    Each job is done unless its file has changed since the claim. Returns the new state of each, None if its claim is
    over.
    """
    claims = [
        EndedClaim(
            job=each.job,
            cause=_CAUSES[each.outcome],
            detail=None if each.stored.proof else UNPROVEN,
            values={
                "key": each.key,
                "key_version": each.job.version,
                "ref": each.stored.ref,
                "cancelled_sha256": None,
            },
        )
        for each in finished
    ]
    states = end_claims(work, claims)
    uploads.record_contents(
        work,
        [
            StoredContent(
                remote_id=each.job.remote_id,
                key=each.key,
                ref=each.stored.ref,
                size=each.job.size,
                sha256=each.sha256,
                proof=each.stored.proof,
                confirmed_at=work.now if each.stored.proof else 0.0,
                terms=each.terms,
                expires=each.expires,
            )
            for each, state in zip(finished, states, strict=True)
            if state is not None
        ],
    )
    return states


def defer(work: UnitOfWork, job: Job, *, due_at: float, failures: int, detail: str) -> State | None:
    """Record a failed attempt.

    The job waits until ``due_at``. Returns the new state, None if the claim is over.
    """
    values = {"due_at": due_at, "failures": failures}
    return finish_claim(work, job, Cause.DEFERRED, detail=detail, values=values)


def release(work: UnitOfWork, job: Job, detail: str) -> State | None:
    """Return the job to its old place in the queue.

    Returns the new state, None if the claim is over.
    """
    return finish_claim(work, job, Cause.RELEASED, detail=detail)


def refuse(work: UnitOfWork, job: Job, detail: str) -> State | None:
    """Record that the job has failed and needs the user.

    Returns the new state, None if the claim is over.
    """
    return finish_claim(work, job, Cause.REFUSED, detail=detail)


def skip(work: UnitOfWork, job: Job, detail: str) -> State | None:
    """Record that syncd does not upload files of this kind.

    Returns the new state, None if the claim is over.
    """
    return finish_claim(work, job, Cause.UNFIT, detail=detail)


def mark_gone(work: UnitOfWork, job: Job) -> State | None:
    """Record that the file is gone. Returns the new state, None if the claim is over.

    If the file was renamed since the claim, the job is queued under the new name.
    """
    row = load(work.connection, job.id)
    if row is not None and (row.folder, row.path) != (job.folder, job.path):
        return finish_claim(work, job, Cause.RELEASED, detail=FILE_RENAMED)
    after = finish_claim(work, job, Cause.GONE, detail=FILE_GONE)
    if after is State.SKIPPED:
        set_files_gone(work, [job.file_id])
    return after


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedClaim:
    """The result of a claim: its cause, and the columns of the job to set."""

    job: Job
    cause: Cause
    detail: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


def finish_claim(
    work: UnitOfWork, job: Job, cause: Cause, *, detail: str | None = None, values: Mapping[str, object] | None = None
) -> State | None:
    """End one claim as :func:`end_claims` does."""
    return end_claims(work, [EndedClaim(job=job, cause=cause, detail=detail, values=values or {})])[0]


def end_claims(work: UnitOfWork, claims: Sequence[EndedClaim]) -> list[State | None]:
    """End claims; return the new state of each job, or None if its claim had ended before.

    If the file has a newer version than the claim, the job is queued for that version, whatever the result was.
    """
    rows = {row.id: row for row in load_all(work.connection, jobs.c.id, {claim.job.id for claim in claims})}
    states: list[State | None] = []
    transitions = []
    for claim in claims:
        row = rows.get(claim.job.id)
        if row is None or row.state is not State.UPLOADING or row.claim != claim.job.claim:
            states.append(None)
            continue
        del rows[claim.job.id]  # a second result of the same claim is over
        if row.file_version != claim.job.version:
            each = Transition(row=row, cause=Cause.RELEASED, detail=FILE_CHANGED, values={"failures": 0})
        else:
            each = Transition(row=row, cause=claim.cause, detail=claim.detail, values=claim.values)
        transitions.append(each)
        states.append(transition(row.state, each.cause))
    apply_transitions(work, transitions)
    return states


def set_content_key(work: UnitOfWork, job: Job, key: str) -> None:
    """Save the content key of the claimed version."""
    parameters = {"job": job.id, "number": job.claim, "key": key, "key_version": job.version}
    work.connection.execute(_SET_KEY, parameters)


def wake(work: UnitOfWork, remote_id: int, key: str) -> int:
    """Make the waiting jobs of a content due; return the number of jobs."""
    parameters = {"remote": remote_id, "content": key, "due_at": work.now}
    return work.connection.execute(_WAITING_FOR_CONTENT, parameters).rowcount


def shift_due_times(work: UnitOfWork, seconds: float) -> None:
    """Make all waiting jobs due ``seconds`` earlier.

    To be called after the clock was set back by that much.
    """
    work.connection.execute(_SHIFT_DUE_TIMES, {"seconds": seconds})
