"""Records which files cannot be read, and queues them again once they can.

Such a job is failed with the cause ``unreadable``. :mod:`syncd.daemon.unreadable_files` checks the files.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, tuple_

from syncd.core.states import Cause, State
from syncd.store.claims import finish_claim
from syncd.store.job_rows import JOBS, load_all
from syncd.store.records import Job, UnreadableJob
from syncd.store.schema import job_tallies, jobs
from syncd.store.transitions import UnitOfWork, apply_transition

READABLE_AGAIN = "the file can be read again"


def mark_unreadable(work: UnitOfWork, job: Job, detail: str) -> State | None:
    """Record that the job's file exists but cannot be read.

    Returns the new state, None if the claim is over.
    """
    return finish_claim(work, job, Cause.UNREADABLE, detail=detail, values={"failures": job.failures + 1})


def unreadable_jobs(connection: Connection, remote_ids: Sequence[int]) -> list[UnreadableJob]:
    """Return the jobs of remotes whose files cannot be read.

    The time depends on the number of failed jobs.
    """
    statement = JOBS.where(_are_failed(remote_ids), jobs.c.cause == Cause.UNREADABLE)
    return [_unreadable_job(row) for row in connection.execute(statement)]


def unreadable_among(connection: Connection, job_ids: Iterable[int]) -> list[UnreadableJob]:
    """Return the given jobs with their present paths.

    Jobs whose state has changed are not in the result.
    """
    return [_unreadable_job(row) for row in load_all(connection, jobs.c.id, job_ids) if _is_unreadable(row)]


def requeue_readable(work: UnitOfWork, job_ids: Iterable[int]) -> int:
    """Queue jobs whose files can be read again; return the number of jobs."""
    rows = [row for row in load_all(work.connection, jobs.c.id, job_ids) if _is_unreadable(row)]
    apply_transition(work, Cause.CHANGED, rows, detail=READABLE_AGAIN, failures=0, due_at=work.now)
    return len(rows)


def _are_failed(remote_ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition for the failed jobs of remotes.

    It has a form for which SQLite uses an index.
    """
    partitions = select(job_tallies.c.folder_id, job_tallies.c.remote_id).where(
        job_tallies.c.state == State.FAILED, job_tallies.c.remote_id.in_(remote_ids)
    )
    return tuple_(jobs.c.folder_id, jobs.c.remote_id).in_(partitions) & (jobs.c.state == State.FAILED)


def _is_unreadable(row: Row[Any]) -> bool:
    return row.state is State.FAILED and row.cause is Cause.UNREADABLE


def _unreadable_job(row: Row[Any]) -> UnreadableJob:
    return UnreadableJob(id=row.id, folder=row.folder, path=row.path, remote=row.remote)
