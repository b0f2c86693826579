"""The one way in which a job comes into being or changes its state.

The state after is looked up in the table of :mod:`syncd.core.states`, the update is guarded by the state before, and
the history gets its row in the same transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Row, bindparam, insert, select, update

from syncd.core.model import Fingerprint
from syncd.core.states import Cause, Outcome, State, transition
from syncd.store.records import LARGE_FILE_BYTES, Change
from syncd.store.schema import files, history, jobs, remotes

T = TypeVar("T")

MAX_STATEMENT_VALUES = 500
"""Values that are asked for in one statement."""

JOBS = (
    select(
        jobs,
        files.c.folder,
        files.c.path,
        files.c.inode,
        files.c.mtime_ns,
        files.c.present,
        files.c.version.label("file_version"),
        remotes.c.name.label("remote"),
    )
    .join_from(jobs, files)
    .join(remotes)
)
"""Jobs with their files and remotes: what all that handle job rows expect."""
_JOB = JOBS.where(jobs.c.id == bindparam("job"))
_JOBS_OF = {
    column: JOBS.where(column.in_(bindparam("ids", expanding=True))).order_by(jobs.c.id)
    for column in (jobs.c.id, jobs.c.file_id)
}
_STEP = update(jobs).where(jobs.c.id == bindparam("job"), jobs.c.state == bindparam("before"))
_NEW = insert(jobs).returning(jobs.c.id, jobs.c.file_id, jobs.c.remote_id)
_HISTORY = insert(history)
_OUTCOMES = {Cause.UPLOADED: Outcome.UPLOADED, Cause.DUPLICATE: Outcome.DUPLICATE}


@dataclass(kw_only=True, slots=True)
class UnitOfWork:
    """A transaction under way: its connection, its time, and the changes to tell when it is on the disk."""

    connection: Connection
    now: float
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job that is to be made. ``unfit`` says why its file can't be uploaded."""

    file_id: int
    remote_id: int
    folder: str
    path: str
    remote: str
    size: int
    version: int
    folder_id: int
    unfit: str | None


def batched(values: Iterable[T]) -> Iterable[list[T]]:
    """Cut ``values`` into lists that one statement can take."""
    rest = iter(values)
    while part := list(islice(rest, MAX_STATEMENT_VALUES)):
        yield part


def load(connection: Connection, job_id: int) -> Row[Any] | None:
    """Return the row of a job."""
    return connection.execute(_JOB, {"job": job_id}).one_or_none()


def load_all(connection: Connection, column: Column[int], ids: Iterable[int]) -> list[Row[Any]]:
    """Return the rows of the jobs whose ``column``, id or file_id, is one of ``ids``."""
    statement = _JOBS_OF[column]
    return [row for part in batched(ids) for row in connection.execute(statement, {"ids": part})]


def fingerprint_of(row: Row[Any]) -> Fingerprint:
    """Return the stamp that a row of a file, or of a job with its file, holds."""
    return Fingerprint(inode=row.inode, size=row.size, mtime_ns=row.mtime_ns)


def apply_transition(
    work: UnitOfWork, cause: Cause, rows: Sequence[Row[Any]], *, detail: str | None = None, **values: object
) -> None:
    """Take the jobs of ``rows`` a step further; ``values`` are columns to set with it."""
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
    steps = [
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
    moved = work.connection.execute(_STEP, steps)
    if moved.rowcount != len(rows):
        raise RuntimeError(f"{len(rows) - moved.rowcount} jobs were not in the state that was read")
    _record(work, [_change(row, row.id, before=row.state, cause=cause, detail=detail, at=work.now) for row in rows])


def create_jobs(work: UnitOfWork, new: Sequence[NewJob]) -> None:
    """Make jobs."""
    if not new:
        return
    made = {(job.file_id, job.remote_id): job for job in new}
    rows = work.connection.execute(
        _NEW,
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
    ids = [(row.id, made[row.file_id, row.remote_id]) for row in sorted(rows)]
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
        _HISTORY,
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
