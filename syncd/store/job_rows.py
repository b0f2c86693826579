"""Reads job rows together with their files and remotes.

:data:`JOBS` is the statement that all modules of this package start from; :func:`job_record` converts one of its rows.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, bindparam, column, func, select

from syncd.core.model import Fingerprint
from syncd.core.states import State
from syncd.store.records import JobRecord
from syncd.store.schema import files, jobs, remotes

T = TypeVar("T")

MAX_STATEMENT_VALUES = 500
"""The number of values that one statement receives as parameters."""


def listed(parameter: str) -> Select[Any]:
    """Return a subquery for the values of the list parameter ``parameter``.

    :func:`as_parameter` converts a list to the value of the parameter. A statement with the subquery is compiled
    once, for lists of any length.
    """
    return select(func.json_each(bindparam(parameter)).table_valued("value").c.value)


def as_parameter(values: Iterable[int | str]) -> str:
    """Convert a list of values to the parameter of :func:`listed`."""
    return json.dumps(list(values))


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
"""Selects jobs with their files and remotes."""
_JOB = JOBS.where(jobs.c.id == bindparam("job"))
_JOBS_OF = {column: JOBS.where(column.in_(listed("ids"))).order_by(jobs.c.id) for column in (jobs.c.id, jobs.c.file_id)}


def batched(values: Iterable[T]) -> Iterable[list[T]]:
    """Split ``values`` into lists short enough for the parameters of one statement."""
    rest = iter(values)
    while batch := list(islice(rest, MAX_STATEMENT_VALUES)):
        yield batch


def is_any_of(ids: ColumnElement[int], values: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that ``ids`` is one of ``values``.

    There may be more values than a statement can have parameters.
    """
    each = func.json_each(json.dumps(list(values))).table_valued(column("value"))
    return ids.in_(select(each.c.value))


def load(connection: Connection, job_id: int) -> Row[Any] | None:
    """Return the row of a job, None if there is no such job."""
    return connection.execute(_JOB, {"job": job_id}).one_or_none()


def load_all(connection: Connection, column: Column[int], ids: Iterable[int]) -> list[Row[Any]]:
    """Return the rows of the jobs whose ``column`` (id or file_id) is in ``ids``."""
    listed_ids = list(ids)
    return list(connection.execute(_JOBS_OF[column], {"ids": as_parameter(listed_ids)})) if listed_ids else []


def fingerprint_of(row: Row[Any]) -> Fingerprint:
    """Return the fingerprint in the row of a file, or of a job with its file."""
    return Fingerprint(inode=row.inode, size=row.size, mtime_ns=row.mtime_ns)


def job_record(row: Row[Any]) -> JobRecord:
    """Convert a row of :data:`JOBS` for the control API."""
    return JobRecord(
        id=row.id,
        folder=row.folder,
        path=row.path,
        present=row.present,
        remote_id=row.remote_id,
        remote=row.remote,
        state=row.state,
        cause=row.cause,
        outcome=row.outcome,
        detail=row.detail,
        size=row.size,
        failures=row.failures,
        due_at=row.due_at if row.state is State.WAITING else None,
        key=row.key,
        ref=row.ref,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
