"""Read-only queries over uploaded copies, for ``verify`` and ``restore``.

The queries are safe while the daemon is running.

A finished job stays finished when its file is gone, so the results include files that only the servers still have.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, false, func, or_, select, tuple_

from syncd.core.model import FormerIdentity, Proof
from syncd.core.states import State
from syncd.store import remotes, startup
from syncd.store.claims import UNPROVEN
from syncd.store.job_rows import batched
from syncd.store.reader import Reader
from syncd.store.schema import contents, files, jobs

_DONE = and_(jobs.c.state == State.DONE, jobs.c.key.is_not(None))
_COPIES: Select[Any] = (
    select(
        jobs.c.id.label("job_id"),
        jobs.c.file_id,
        jobs.c.remote_id,
        jobs.c.key,
        jobs.c.ref,
        files.c.folder,
        files.c.path,
        files.c.present,
        func.coalesce(contents.c.size, jobs.c.size).label("size"),
        contents.c.sha256,
    )
    .join_from(jobs, files)
    .outerjoin(contents, and_(contents.c.remote_id == jobs.c.remote_id, contents.c.key == jobs.c.key))
    .where(_DONE)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PathScope:
    """A whole watched folder, or the file or directory ``path`` in it.

    Both are spelled as in the store.
    """

    folder: str
    path: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """The copy of a file on one remote.

    ``key`` identifies the content, ``ref`` is the server's name for it.

    ``present`` says whether the local file existed at the last check. ``sha256`` is the hash of the file's bytes, None
    if a version of syncd without this column uploaded it.
    """

    job_id: int
    remote_id: int
    folder: str
    path: str
    present: bool
    key: str
    ref: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedFile:
    """A file as last seen, and the copies of exactly this version.

    Empty if this version was never uploaded.
    """

    folder: str
    path: str
    size: int
    mtime_ns: int
    present: bool
    copies: Sequence[Copy]


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """A number of files or contents, and their total size."""

    count: int
    size: int


class CopyIndex:
    """The store, opened read-only with :meth:`open`. Every call may raise a ``StoreError``."""

    def __init__(self, path: str) -> None:
        self._reader = Reader(path)

    @classmethod
    async def open(cls, path: str) -> "CopyIndex":
        """Open the file.

        Raises ``StoreError`` if it does not exist or has another schema version.
        """
        await asyncio.to_thread(startup.require_current, path)
        return cls(path)

    async def close(self) -> None:
        """Close the file."""
        await self._reader.close()

    async def remote_id(self, identity: str, former: Sequence[FormerIdentity] = ()) -> int | None:
        """Return the id of a remote, also if it is recorded under one of ``former``.

        Return None if it is not recorded.
        """
        return await self._reader.read(lambda connection: remotes.find_remote(connection, identity, former))

    async def recorded_apart(self, identity: str, former: Sequence[FormerIdentity]) -> list[FormerIdentity]:
        """Return the former addresses of a remote that have records apart from its own."""
        return await self._reader.read(lambda connection: remotes.recorded_apart(connection, identity, former))

    async def unproven(self, remote_id: int) -> tuple[int, int]:
        """Count the contents confirmed without hash or size, and all confirmed contents.

        Uploads by earlier versions of syncd do not count as the former, because they did not check this.
        """
        of_remote = select(func.count()).select_from(contents).where(contents.c.remote_id == remote_id)
        detected = exists().where(
            jobs.c.remote_id == contents.c.remote_id, jobs.c.key == contents.c.key, jobs.c.detail == UNPROVEN
        )
        unproven = of_remote.where(contents.c.proof == Proof.NONE, detected)
        return await self._reader.read(
            lambda connection: (connection.execute(unproven).scalar_one(), connection.execute(of_remote).scalar_one())
        )

    async def copies(
        self, remote_id: int, scopes: Sequence[PathScope], *, after: Copy | None = None, limit: int = 200
    ) -> list[Copy]:
        """Return copies on a remote of files in ``scopes``, sorted by content key.

        The result follows ``after`` and has up to ``limit`` copies.
        """
        order = (jobs.c.key, jobs.c.id)
        statement = _COPIES.where(jobs.c.remote_id == remote_id, _within(scopes)).order_by(*order).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*order) > (after.key, after.job_id))
        return await self._reader.read(lambda connection: _copies(connection, statement))

    async def contents(self, remote_id: int, scopes: Sequence[PathScope]) -> Total:
        """Count the contents of files in ``scopes`` on a remote."""
        each = _COPIES.where(jobs.c.remote_id == remote_id, _within(scopes)).group_by(jobs.c.key).subquery()
        return await self._total(select(func.count(), func.coalesce(func.sum(each.c.size), 0)).select_from(each))

    async def files(self, scope: PathScope, *, after: str | None = None, limit: int = 200) -> list[RecordedFile]:
        """Return files in ``scope`` that are present or were uploaded, by path.

        The result follows the path ``after`` and has up to ``limit`` files.
        """
        statement = select(files).where(_within([scope]), or_(files.c.present, _UPLOADED))
        if after is not None:
            statement = statement.where(files.c.path > after)
        return await self._reader.read(lambda connection: _files(connection, statement.limit(limit)))

    async def files_total(self, scope: PathScope) -> Total:
        """Count the files in ``scope`` that were uploaded."""
        counted = select(func.count(), func.coalesce(func.sum(files.c.size), 0))
        return await self._total(counted.where(_within([scope]), _UPLOADED))

    async def _total(self, statement: Select[Any]) -> Total:
        count, size = await self._reader.read(lambda connection: connection.execute(statement).one())
        return Total(count=count, size=size)


def copies_of(connection: Connection, job_ids: Sequence[int]) -> list[Copy]:
    """Return the copies of the jobs among ``job_ids`` that are finished."""
    return [copy for batch in batched(job_ids) for copy in _copies(connection, _COPIES.where(jobs.c.id.in_(batch)))]


_UPLOADED = exists().where(jobs.c.file_id == files.c.id, jobs.c.version == files.c.version, _DONE)


def _within(scopes: Sequence[PathScope]) -> ColumnElement[bool]:
    return or_(false(), *map(_in_scope, scopes))


def _in_scope(scope: PathScope) -> ColumnElement[bool]:
    in_folder = files.c.folder == scope.folder
    if scope.path is None:
        return in_folder
    below = and_(files.c.path > f"{scope.path}/", files.c.path < f"{scope.path}0")  # 0 follows / in ASCII
    return and_(in_folder, or_(files.c.path == scope.path, below))


def _copies(connection: Connection, statement: Select[Any]) -> list[Copy]:
    return [_copy(row) for row in connection.execute(statement)]


def _copy(row: Row[Any]) -> Copy:
    return Copy(
        job_id=row.job_id,
        remote_id=row.remote_id,
        folder=row.folder,
        path=row.path,
        present=row.present,
        key=row.key,
        ref=row.ref,
        size=row.size,
        sha256=row.sha256,
    )


def _files(connection: Connection, statement: Select[Any]) -> list[RecordedFile]:
    rows = connection.execute(statement.order_by(files.c.path)).all()
    copies: dict[int, list[Copy]] = {row.id: [] for row in rows}
    current = _COPIES.where(jobs.c.file_id.in_(copies), jobs.c.version == files.c.version)
    for copy in connection.execute(current):
        copies[copy.file_id].append(_copy(copy))
    return [
        RecordedFile(
            folder=row.folder,
            path=row.path,
            size=row.size,
            mtime_ns=row.mtime_ns,
            present=row.present,
            copies=copies[row.id],
        )
        for row in rows
    ]
