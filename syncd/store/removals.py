"""Finds files that ``after_upload`` may remove, and records removals in progress.

A file qualifies if every remote of its folder has its current version. A removal is written down before the file is
renamed, so that a crash in between can be repaired.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, false, func, insert, select

from syncd.core.states import State
from syncd.store.files import mark_files_gone
from syncd.store.job_rows import fingerprint_of
from syncd.store.records import Removal, StoredContent, UploadedFile
from syncd.store.schema import IS_PRESENT, contents, files, jobs
from syncd.store.schema import removals as removals_table
from syncd.store.transitions import UnitOfWork
from syncd.store.uploads import stored_content

_DONE = and_(jobs.c.file_id == files.c.id, jobs.c.state == State.DONE, jobs.c.version == files.c.version)
_CONTENTS = (
    select(jobs.c.file_id, contents)
    .join_from(jobs, files)
    .join(contents, and_(contents.c.remote_id == jobs.c.remote_id, contents.c.key == jobs.c.key))
    .where(_DONE)
    .where(jobs.c.file_id.in_(bindparam("files", expanding=True)))
    .where(jobs.c.remote_id.in_(bindparam("remotes", expanding=True)))
)
_END = delete(removals_table).where(removals_table.c.id.in_(bindparam("ids", expanding=True)))


def uploaded(
    connection: Connection, folder: str, remote_ids: Sequence[int], *, after: str | None = None, limit: int = 100
) -> list[UploadedFile]:
    """Return present files whose current version all these remotes have.

    The files are sorted by path and follow ``after``.
    """
    statement = select(files).where(_uploaded(folder, remote_ids))
    if after is not None:
        statement = statement.where(files.c.path > after)
    rows = connection.execute(statement.order_by(files.c.path).limit(limit)).all()
    known: defaultdict[int, list[StoredContent]] = defaultdict(list)
    for row in connection.execute(_CONTENTS, {"files": [row.id for row in rows], "remotes": list(remote_ids)}):
        known[row.file_id].append(stored_content(row))
    return [
        UploadedFile(
            path=row.path,
            version=row.version,
            fingerprint=fingerprint_of(row),
            closed=row.closed,
            seen_at=row.seen_at,
            contents=tuple(known[row.id]),
        )
        for row in rows
    ]


def uploaded_count(connection: Connection, folder: str, remote_ids: Sequence[int]) -> int:
    """Count the files that :func:`uploaded` returns."""
    statement = select(func.count()).select_from(files).where(_uploaded(folder, remote_ids))
    return connection.execute(statement).scalar_one()


def _uploaded(folder: str, remote_ids: Sequence[int]) -> ColumnElement[bool]:
    if not remote_ids:  # without this every file would qualify, and the caller may delete it
        return false()
    has = (exists().where(_DONE, jobs.c.remote_id == remote_id) for remote_id in remote_ids)
    return and_(files.c.folder == folder, IS_PRESENT, *has)


def begin_removals(work: UnitOfWork, folder: str, hidden: Sequence[tuple[str, str]]) -> list[int]:
    """Record that files get hidden names, given as (path, hidden name).

    Return the ids of the removals.
    """
    made = insert(removals_table).returning(removals_table.c.id, sort_by_parameter_order=True)
    rows = [{"folder": folder, "path": path, "hidden": name} for path, name in hidden]
    return list(work.connection.execute(made, rows).scalars()) if rows else []


def end_removals(work: UnitOfWork, folder: str, ids: Sequence[int], removed: Sequence[str]) -> None:
    """Record that these removals are complete and the files at ``removed`` are gone."""
    mark_files_gone(work, folder, removed, removed=True)
    work.connection.execute(_END, {"ids": list(ids)})


def pending_removals(connection: Connection) -> list[Removal]:
    """Return the removals that have begun and are not complete."""
    rows = connection.execute(select(removals_table).order_by(removals_table.c.id))
    return [Removal(id=row.id, folder=row.folder, path=row.path, hidden=row.hidden) for row in rows]
