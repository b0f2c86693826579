"""Creates jobs and changes their state; no other module does.

The new state comes from the table in :mod:`syncd.core.states`. The update is guarded by the old state, and the history
gets its row in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from syncd.core.states import Cause, Outcome, State, transition
from syncd.store.records import LARGE_FILE_BYTES, Change
from syncd.store.schema import history, jobs

_CHANGE_STATE = update(jobs).where(jobs.c.id == bindparam("job"), jobs.c.state == bindparam("before"))
_INSERT_JOBS = insert(jobs).returning(jobs.c.id, jobs.c.file_id, jobs.c.remote_id)
_INSERT_HISTORY = insert(history)
_OUTCOMES = {Cause.UPLOADED: Outcome.UPLOADED, Cause.DUPLICATE: Outcome.DUPLICATE}


@dataclass(kw_only=True, slots=True)
class UnitOfWork:
    """An open transaction, its time, and the changes to publish after the commit."""

    connection: Connection
    now: float
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job to create.

    ``unfit`` is the reason why its file can't be uploaded, if there is one.
    """

    file_id: int
    remote_id: int
    folder: str
    path: str
    remote: str
    size: int
    version: int
    folder_id: int
    unfit: str | None


def apply_transition(
    work: UnitOfWork, cause: Cause, rows: Sequence[Row[Any]], *, detail: str | None = None, **values: object
) -> None:
    """Apply ``cause`` to the jobs in ``rows``, and set the columns in ``values``."""
    if not rows:
        return
    common = {
        "cause": cause,
        "detail": detail,
        "outcome": _OUTCOMES.get(cause),
        "lease_owner": None,
        "lease_until": None,
        "updated_at": work.now,
        **values,
    }
    updates = [
        {
            "job": row.id,
            "before": row.state,
            "state": transition(row.state, cause),
            "version": row.file_version,
            "claim": row.claim + (cause is Cause.CLAIMED),
            **common,
        }
        for row in rows
    ]
    updated = work.connection.execute(_CHANGE_STATE, updates)
    if updated.rowcount != len(rows):
        raise RuntimeError(f"{len(rows) - updated.rowcount} jobs were not in the state that was read")
    _record(work, [_change(row, row.id, before=row.state, cause=cause, detail=detail, at=work.now) for row in rows])


def create_jobs(work: UnitOfWork, new: Sequence[NewJob]) -> None:
    """Create the jobs in ``new``."""
    if not new:
        return
    new_jobs = {(job.file_id, job.remote_id): job for job in new}
    rows = work.connection.execute(
        _INSERT_JOBS,
        [
            {
                "file_id": job.file_id,
                "remote_id": job.remote_id,
                "state": transition(None, _cause(job)),
                "cause": _cause(job),
                "detail": job.unfit,
                "failures": 0,
                "due_at": work.now,
                "claim": 0,
                "version": job.version,
                "folder_id": job.folder_id,
                "size": job.size,
                "large": job.size >= LARGE_FILE_BYTES,
                "created_at": work.now,
                "updated_at": work.now,
            }
            for job in new
        ],
    )
    ids = [(row.id, new_jobs[row.file_id, row.remote_id]) for row in sorted(rows)]
    _record(
        work,
        [_change(job, id_, before=None, cause=_cause(job), detail=job.unfit, at=work.now) for id_, job in ids],
    )


def _cause(job: NewJob) -> Cause:
    return Cause.FOUND if job.unfit is None else Cause.UNFIT


def _change(
    job: NewJob | Row[Any], job_id: int, *, before: State | None, cause: Cause, detail: str | None, at: float
) -> Change:
    return Change(
        job_id=job_id,
        folder=job.folder,
        path=job.path,
        remote=job.remote,
        cause=cause,
        before=before,
        after=transition(before, cause),
        detail=detail,
        outcome=_OUTCOMES.get(cause),
        size=job.size,
        at=at,
    )


def _record(work: UnitOfWork, changes: list[Change]) -> None:
    work.connection.execute(
        _INSERT_HISTORY,
        [
            {
                "job_id": change.job_id,
                "at": change.at,
                "cause": change.cause,
                "from_state": change.before,
                "to_state": change.after,
                "detail": change.detail,
            }
            for change in changes
        ],
    )
    work.changes += changes
