"""What is recorded as uploaded, for those who fetch it back. Reads alone, beside a daemon that may be at work.

A file's job that is done stays done when the file goes, so files are here that are only on the servers by now.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, false, func, or_, select, tuple_

from syncd.core.model import FormerIdentity, Proof
from syncd.core.states import State
from syncd.store import queries, startup
from syncd.store.claims import UNPROVEN
from syncd.store.reader import Reader
from syncd.store.schema import contents, files, jobs
from syncd.store.transitions import batched


@dataclass(frozen=True, kw_only=True, slots=True)
class PathScope:
    """A folder, or the file or folder ``path`` in it; both as the store has them."""

    folder: str
    path: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """What one remote has of a file: ``key`` names the content, ``ref`` is how to ask for it, ``size`` is in bytes.

    ``present`` says whether the file itself was there when last looked. ``sha256`` is that of its bytes, None where an
    earlier version of syncd has uploaded it.
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
    """A file as it was last seen, and its copies in that very state; none if it was never uploaded so."""

    folder: str
    path: str
    size: int
    mtime_ns: int
    present: bool
    copies: Sequence[Copy]


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """How many there are, and their bytes."""

    count: int
    size: int


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


class CopyIndex:
    """The store, for reading. Made by :meth:`open`; every call may raise a ``StoreError``."""

    def __init__(self, path: str) -> None:
        self._reader = Reader(path)

    @classmethod
    async def open(cls, path: str) -> "CopyIndex":
        """Open the file; a ``StoreError`` if there is none, or none of this version."""
        await asyncio.to_thread(startup.require_current, path)
        return cls(path)

    async def close(self) -> None:
        """Close the file."""
        await self._reader.close()

    async def remote_id(self, identity: str, former: Sequence[FormerIdentity] = ()) -> int | None:
        """Return the number of a remote, maybe as one of ``former``, if anything was ever queued for it."""
        return await self._reader.read(lambda connection: queries.find_remote(connection, identity, former))

    async def recorded_apart(self, identity: str, former: Sequence[FormerIdentity]) -> list[FormerIdentity]:
        """Return those of a remote's former addresses that have records beside its own."""
        return await self._reader.read(lambda connection: queries.recorded_apart(connection, identity, former))

    async def unproven(self, remote_id: int) -> tuple[int, int]:
        """Count the contents of which a remote named neither hash nor size, and all that it has confirmed.

        Those that an earlier version has uploaded do not count among the former: it did not look at that.
        """
        of_remote = select(func.count()).select_from(contents).where(contents.c.remote_id == remote_id)
        said = exists().where(
            jobs.c.remote_id == contents.c.remote_id, jobs.c.key == contents.c.key, jobs.c.detail == UNPROVEN
        )
        unproven = of_remote.where(contents.c.proof == Proof.NONE, said)
        return await self._reader.read(
            lambda connection: (connection.execute(unproven).scalar_one(), connection.execute(of_remote).scalar_one())
        )

    async def copies(
        self, remote_id: int, places: Sequence[PathScope], *, after: Copy | None = None, limit: int = 200
    ) -> list[Copy]:
        """Return copies that a remote has of files in ``places``, those of a content together, following ``after``."""
        order = (jobs.c.key, jobs.c.id)
        statement = _COPIES.where(jobs.c.remote_id == remote_id, _within(places)).order_by(*order).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*order) > (after.key, after.job_id))
        return await self._reader.read(lambda connection: _copies(connection, statement))

    async def contents(self, remote_id: int, places: Sequence[PathScope]) -> Total:
        """Count the contents that a remote has of files in ``places``."""
        each = _COPIES.where(jobs.c.remote_id == remote_id, _within(places)).group_by(jobs.c.key).subquery()
        return await self._total(select(func.count(), func.coalesce(func.sum(each.c.size), 0)).select_from(each))

    async def files(self, place: PathScope, *, after: str | None = None, limit: int = 200) -> list[RecordedFile]:
        """Return files at ``place`` that are here or were uploaded, by path, following ``after``."""
        statement = select(files).where(_within([place]), or_(files.c.present, _UPLOADED))
        if after is not None:
            statement = statement.where(files.c.path > after)
        return await self._reader.read(lambda connection: _files(connection, statement.limit(limit)))

    async def files_total(self, place: PathScope) -> Total:
        """Count what :meth:`files` returns, as far as it was uploaded."""
        counted = select(func.count(), func.coalesce(func.sum(files.c.size), 0))
        return await self._total(counted.where(_within([place]), _UPLOADED))

    async def _total(self, statement: Select[Any]) -> Total:
        count, size = await self._reader.read(lambda connection: connection.execute(statement).one())
        return Total(count=count, size=size)


def copies_of(connection: Connection, job_ids: Sequence[int]) -> list[Copy]:
    """Return what was uploaded by those of these jobs that are done."""
    return [copy for part in batched(job_ids) for copy in _copies(connection, _COPIES.where(jobs.c.id.in_(part)))]


_UPLOADED = exists().where(jobs.c.file_id == files.c.id, jobs.c.version == files.c.version, _DONE)


def _within(places: Sequence[PathScope]) -> ColumnElement[bool]:
    return or_(false(), *map(_at, places))


def _at(place: PathScope) -> ColumnElement[bool]:
    inside = files.c.folder == place.folder
    if place.path is None:
        return inside
    below = and_(files.c.path > f"{place.path}/", files.c.path < f"{place.path}0")  # 0 follows / in ASCII
    return and_(inside, or_(files.c.path == place.path, below))


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
