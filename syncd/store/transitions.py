"""Creates jobs and changes their state; no other module does.

The new state comes from the table in :mod:`syncd.core.states`. The update is guarded by the old state, and the history
gets its row in the same transaction.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, update

from syncd.core.states import Cause, Outcome, State, transition
from syncd.store.records import LARGE_FILE_BYTES, Change
from syncd.store.schema import jobs

_CHANGE_STATE = update(jobs).where(jobs.c.id == bindparam("job"), jobs.c.state == bindparam("before"))
# Each statement takes a list in JSON: SQLite then inserts a thousand rows without a return to Python after each.
_INSERT_JOBS = """\
INSERT INTO jobs (file_id, remote_id, state, cause, detail, version, size, large, folder_id,
  backlog, attempts, due_at, claim, created_at, updated_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
  json_extract(value, '$[7]'), json_extract(value, '$[8]'),
  json_extract(value, '$[9]'), 0, :now, 0, :now, :now
FROM json_each(:rows)"""
_INSERT_HISTORY = """\
INSERT INTO history (job_id, at, cause, from_state, to_state, detail)
SELECT json_extract(value, '$[0]'), ?, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]')
FROM json_each(?)"""
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

    ``backlog`` is as in :class:`~syncd.core.model.FoundFile`.
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
    backlog: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """A state transition of one job.

    ``row`` is the job as it was read. ``values`` are further columns to set.
    """

    row: Row[Any]
    cause: Cause
    detail: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


def apply_transition(
    work: UnitOfWork, cause: Cause, rows: Sequence[Row[Any]], *, detail: str | None = None, **values: object
) -> None:
    """Apply ``cause`` to the jobs in ``rows``, and set the columns in ``values``."""
    apply_transitions(work, [Transition(row=row, cause=cause, detail=detail, values=values) for row in rows])


def apply_transitions(work: UnitOfWork, transitions: Sequence[Transition]) -> None:
    """Apply each of ``transitions``: one statement for all that set the same columns."""
    updates: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for each in transitions:
        updates[tuple(each.values)].append(_update(work, each))
    for parameters in updates.values():
        updated = work.connection.execute(_CHANGE_STATE, parameters)
        if updated.rowcount != len(parameters):
            raise RuntimeError(f"{len(parameters) - updated.rowcount} jobs were not in the state that was read")
    _record(
        work,
        [
            _change(
                each.row,
                each.row.id,
                before=each.row.state,
                cause=each.cause,
                detail=each.detail,
                at=work.now,
                backlog=bool(each.values.get("backlog", each.row.backlog)),
            )
            for each in transitions
        ],
    )


def _update(work: UnitOfWork, each: Transition) -> dict[str, object]:
    row, cause = each.row, each.cause
    return {
        "job": row.id,
        "before": row.state,
        "state": transition(row.state, cause),
        "version": row.file_version,
        "claim": row.claim + (cause is Cause.CLAIMED),
        "cause": cause,
        "detail": each.detail,
        "outcome": _OUTCOMES.get(cause),
        "lease_owner": None,
        "lease_until": None,
        "updated_at": work.now,
        **each.values,
    }


def create_jobs(work: UnitOfWork, new: Sequence[NewJob]) -> None:
    """Create the jobs in ``new``."""
    if not new:
        return
    rows = [
        (
            job.file_id,
            job.remote_id,
            transition(None, _cause(job)),
            _cause(job),
            job.unfit,
            job.version,
            job.size,
            int(job.size >= LARGE_FILE_BYTES),
            job.folder_id,
            int(job.backlog),
        )
        for job in new
    ]
    inserted = work.connection.exec_driver_sql(
        _INSERT_JOBS, {"now": work.now, "rows": json.dumps(rows, ensure_ascii=False)}
    )
    first = inserted.lastrowid - len(new) + 1  # SQLite numbers the rows of a statement consecutively
    _record(
        work,
        [
            _change(job, job_id, before=None, cause=_cause(job), detail=job.unfit, at=work.now, backlog=job.backlog)
            for job_id, job in enumerate(new, first)
        ],
    )


def _cause(job: NewJob) -> Cause:
    return Cause.FOUND if job.unfit is None else Cause.UNFIT


def _change(
    job: NewJob | Row[Any],
    job_id: int,
    *,
    before: State | None,
    cause: Cause,
    detail: str | None,
    at: float,
    backlog: bool,
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
        backlog=backlog,
    )


def _record(work: UnitOfWork, changes: list[Change]) -> None:
    if not changes:
        return
    rows = [(change.job_id, change.cause, change.before, change.after, change.detail) for change in changes]
    work.connection.exec_driver_sql(_INSERT_HISTORY, (work.now, json.dumps(rows, ensure_ascii=False)))
    work.changes += changes
