"""Which files every remote has, so that they may be deleted or moved, and which removals are under way."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, false, func, insert, select

from syncd.core.states import State
from syncd.store.files import gone
from syncd.store.records import Removal, StoredContent, UploadedFile
from syncd.store.schema import contents, files, jobs, removals
from syncd.store.transitions import UnitOfWork, fingerprint_of
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
_END = delete(removals).where(removals.c.id.in_(bindparam("ids", expanding=True)))


def uploaded(
    connection: Connection, folder: str, remote_ids: Sequence[int], *, after: str | None, limit: int
) -> list[UploadedFile]:
    """Return present files of a folder that all the remotes have in their present version, in the order of paths."""
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


def count(connection: Connection, folder: str, remote_ids: Sequence[int]) -> int:
    """Count what :func:`uploaded` returns."""
    statement = select(func.count()).select_from(files).where(_uploaded(folder, remote_ids))
    return connection.execute(statement).scalar_one()


def _uploaded(folder: str, remote_ids: Sequence[int]) -> ColumnElement[bool]:
    if not remote_ids:  # "all of none" would be every file, and what is returned here may be deleted
        return false()
    has = (exists().where(_DONE, jobs.c.remote_id == remote_id) for remote_id in remote_ids)
    return and_(files.c.folder == folder, files.c.present, *has)


def begin(work: UnitOfWork, folder: str, hidden: Sequence[tuple[str, str]]) -> list[int]:
    """Take note that files, by path, are about to get the hidden names that go with them; return the notes' numbers."""
    made = insert(removals).returning(removals.c.id, sort_by_parameter_order=True)
    rows = [{"folder": folder, "path": path, "hidden": name} for path, name in hidden]
    return list(work.connection.execute(made, rows).scalars()) if rows else []


def end(work: UnitOfWork, folder: str, ids: Sequence[int], removed: Sequence[str]) -> None:
    """Take note that these removals are over, and that the files at the paths ``removed`` are gone by them."""
    gone(work, folder, removed, removed=True)
    work.connection.execute(_END, {"ids": list(ids)})


def begun(connection: Connection) -> list[Removal]:
    """Return the removals that were begun and not ended."""
    rows = connection.execute(select(removals).order_by(removals.c.id))
    return [Removal(id=row.id, folder=row.folder, path=row.path, hidden=row.hidden) for row in rows]
