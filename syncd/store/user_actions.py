"""Carries out the user's commands on jobs: retry, cancel and repair.

Each command changes those of the given jobs whose state allows it, and returns their ids.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row

from syncd.core.states import Cause, State, sources
from syncd.store import cancellations, queries, uploads
from syncd.store.job_rows import load_all
from syncd.store.schema import jobs
from syncd.store.transitions import UnitOfWork, apply_transition

BATCH_JOBS = 5000
"""The number of jobs that one transaction changes; other writes run between two transactions."""
BAD_COPY = "the server's copy was missing or damaged"


def retry(work: UnitOfWork, job_ids: Iterable[int], *, backlog: bool = False) -> list[int]:
    """Queue waiting, failed and skipped jobs again: as new files, or as ``backlog``.

    Their contents no longer count as cancelled.
    """
    rows = _jobs_open_to(Cause.RETRIED, work, job_ids)
    cancellations.forget(work, rows)
    apply_transition(work, Cause.RETRIED, rows, failures=0, due_at=work.now, backlog=backlog)
    return [row.id for row in rows]


def retry_some_failed(work: UnitOfWork) -> list[int]:
    """Queue up to :data:`BATCH_JOBS` failed jobs again.

    An empty result means that none is left.
    """
    return retry(work, queries.failed_ids(work.connection, BATCH_JOBS), backlog=True)


def cancel(work: UnitOfWork, job_ids: Iterable[int]) -> list[int]:
    """Cancel unfinished and failed jobs, including those that are uploading."""
    rows = _jobs_open_to(Cause.CANCELLED, work, job_ids)
    cancellations.cancel(work, rows)
    return [row.id for row in rows]


def repair(work: UnitOfWork, job_ids: Iterable[int]) -> list[int]:
    """Forget the uploaded contents of finished jobs.

    Queue the jobs whose files are present, and return their ids.
    """
    rows = [row for row in load_all(work.connection, jobs.c.id, job_ids) if row.state is State.DONE]
    for row in rows:
        uploads.forget_content(work, row.remote_id, row.key)
    present = [row for row in rows if row.present]
    apply_transition(work, Cause.MISSING, present, detail=BAD_COPY, failures=0, due_at=work.now)
    return [row.id for row in present]


def _jobs_open_to(cause: Cause, work: UnitOfWork, job_ids: Iterable[int]) -> Sequence[Row[Any]]:
    allowed = sources(cause)
    return [row for row in load_all(work.connection, jobs.c.id, job_ids) if row.state in allowed]
