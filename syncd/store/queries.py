"""Answers the read queries of the control API about single jobs and counts.

:mod:`~syncd.store.pages` returns lists of jobs, :mod:`~syncd.store.copies` the uploaded copies.
"""

import os
from collections.abc import Sequence

from sqlalchemy import Connection, and_, false, func, or_, select, tuple_

from syncd.core.states import State
from syncd.paths import inside
from syncd.store.job_rows import JOBS, is_any_of, job_record, load
from syncd.store.records import PENDING, Counts, HistoryEntry, JobRecord
from syncd.store.schema import file_tallies, files, job_tallies, jobs
from syncd.store.schema import history as history_table


def job(connection: Connection, job_id: int) -> JobRecord | None:
    """Return a job, None if there is no such job."""
    row = load(connection, job_id)
    return None if row is None else job_record(row)


def jobs_of(connection: Connection, path: str, folders: Sequence[str]) -> list[JobRecord]:
    """Return the jobs of a file; ``path`` is absolute, or relative to any of ``folders``."""
    if os.path.isabs(path):
        places = [(folder, below) for folder in folders if (below := inside(folder, path))]
    else:
        places = [(folder, path) for folder in folders]
    matches = or_(false(), *(and_(files.c.folder == folder, files.c.path == below) for folder, below in places))
    return [job_record(row) for row in connection.execute(JOBS.where(matches).order_by(jobs.c.id))]


def history(connection: Connection, job_id: int) -> list[HistoryEntry]:
    """Return the last state changes of a job, oldest first."""
    of_job = select(history_table).where(history_table.c.job_id == job_id).order_by(history_table.c.id)
    return [
        HistoryEntry(at=row.at, cause=row.cause, before=row.from_state, after=row.to_state, detail=row.detail)
        for row in connection.execute(of_job)
    ]


def siblings(connection: Connection, found: Sequence[JobRecord], remote_ids: Sequence[int]) -> list[JobRecord]:
    """Return the other jobs of the same files for these remotes.

    Each file costs one index search.
    """
    ids = {job.id for job in found}
    of_files = jobs.c.file_id.in_(select(jobs.c.file_id).where(is_any_of(jobs.c.id, list(ids))))
    statement = JOBS.where(of_files, (jobs.c.remote_id + 0).in_(remote_ids))
    return [job_record(row) for row in connection.execute(statement) if row.id not in ids]


def ids_in_states(connection: Connection, states: Sequence[State]) -> list[int]:
    """Return the ids of the jobs in these states, of all folders and remotes."""
    partitions = select(job_tallies.c.folder_id, job_tallies.c.remote_id, job_tallies.c.state).where(
        job_tallies.c.state.in_(states), job_tallies.c.jobs > 0
    )
    in_partitions = tuple_(jobs.c.folder_id, jobs.c.remote_id, jobs.c.state).in_(partitions)
    return list(connection.execute(select(jobs.c.id).where(in_partitions)).scalars())


def ids_below(connection: Connection, folder: str, path: str, states: Sequence[State]) -> list[int]:
    """Return the ids of the jobs in these states for the files below a directory.

    The path ``""`` is ``folder`` itself.
    """
    in_states = func.likely(jobs.c.state.in_(states))  # likely: read the jobs of these files, not the files of all jobs
    of_files = select(jobs.c.id).join_from(files, jobs).where(files.c.folder == folder, in_states)
    if path:  # the bytes of all paths below it are between these two
        of_files = of_files.where(files.c.path > f"{path}/", files.c.path < f"{path}0")
    return list(connection.execute(of_files).scalars())


def failed_ids(connection: Connection, limit: int) -> list[int]:
    """Return the ids of up to ``limit`` failed jobs of all folders and remotes."""
    partitions = select(job_tallies.c.folder_id, job_tallies.c.remote_id).where(job_tallies.c.state == State.FAILED)
    in_partitions = tuple_(jobs.c.folder_id, jobs.c.remote_id).in_(partitions)  # lets SQLite use the index
    failed = select(jobs.c.id).where(in_partitions, jobs.c.state == State.FAILED).limit(limit)
    return list(connection.execute(failed).scalars())


def counts(connection: Connection, remote_ids: Sequence[int]) -> Counts:
    """Count the jobs of remotes; the time does not depend on the number of jobs."""
    by_state = dict.fromkeys(State, 0)
    pending_bytes = 0
    for row in connection.execute(select(job_tallies).where(job_tallies.c.remote_id.in_(remote_ids))):
        by_state[row.state] += row.jobs
        pending_bytes += row.bytes if row.state in PENDING else 0
    return Counts(jobs=by_state, pending_bytes=pending_bytes)


def files_count(connection: Connection, folder: str) -> int:
    """Count the present files of a folder."""
    return connection.execute(select(file_tallies.c.files).where(file_tallies.c.folder == folder)).scalar() or 0
