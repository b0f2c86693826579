"""Which jobs a person sees, page by page: in any order, through any filter, as fast at a million jobs as at ten.

The jobs of one folder, remote and state are a pile. The tallies say which piles there are, and in each of them an index
has the jobs in order: a page is the piles merged, as far as it reaches. For names there is the files' own index. Few
candidates are gathered and sorted instead. A search has no index: it looks through the names, and where far too many of
them match and none of these is near, it says after a while how far it came.
"""

import heapq
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, cast, column, func, literal, literal_column, select, tuple_

from syncd.core.model import Sort
from syncd.core.states import State
from syncd.store.records import JobRecord
from syncd.store.schema import files, folders, job_tallies, jobs
from syncd.store.transitions import JOBS

SORT_IN_MEMORY_MAX_JOBS = 10_000
"""Candidates that are rather gathered and sorted than come by in order."""
BATCH_JOBS = 500
"""Candidates that are looked at together."""
PAGE_TIME_BUDGET_SECONDS = 0.15
"""Seconds after which a page is handed out as it is."""
_WILD = re.compile(r"[\\%_]")
_LARGEST = 2**63 - 1

Cursor = tuple[float, int] | tuple[str, str, int]
"""After which job a page begins: when it changed or its size, and its id; by name its folder, path and remote's id."""
_Batch = tuple[ColumnElement[bool], Cursor]
"""Which jobs come next in order, and the cursor that follows them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """Which jobs: of these remotes, of ``state`` and ``folder``, with ``search`` in their path; after the cursor.

    ``sibling_remote_ids``: the remotes whose jobs of the same files the page has besides.
    """

    remote_ids: Sequence[int]
    sibling_remote_ids: Sequence[int] = ()
    state: State | None = None
    folder: str | None = None
    search: str | None = None
    sort: Sort = Sort.LATEST
    after: Cursor | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some jobs. ``next`` is the cursor of the page after, None on the last; ``partial``: it could have more.

    ``siblings`` are the jobs of the same files that are not among ``jobs``, in no order.
    """

    jobs: list[JobRecord]
    siblings: list[JobRecord] = field(default_factory=list)
    next: Cursor | None
    partial: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Partition:
    """The jobs of one folder, remote and state, and how many they are."""

    folder: str
    folder_id: int
    remote_id: int
    state: State
    jobs: int


_DOWN = (Sort.LATEST, Sort.LARGEST)
_COLUMNS = {
    Sort.LATEST: "updated_at",
    Sort.OLDEST: "updated_at",
    Sort.LARGEST: "size",
    Sort.SMALLEST: "size",
}
_KEYS = {
    **{sort: (jobs.c[by], jobs.c.id) for sort, by in _COLUMNS.items()},
    Sort.NAME: (files.c.folder, files.c.path, jobs.c.remote_id),
}
_ORDERED = (
    "SELECT {by}, id FROM jobs WHERE folder_id = ? AND remote_id = ? AND state = ? AND ({by}, id) {beyond} (?, ?)"
    " ORDER BY {by} {way}, id {way} LIMIT ?"
)
_IN_ORDER = {
    sort: _ORDERED.format(by=by, beyond="<" if sort in _DOWN else ">", way="DESC" if sort in _DOWN else "ASC")
    for sort, by in _COLUMNS.items()
}


def page(connection: Connection, wanted: JobFilter, clock: Callable[[], float]) -> Page:
    """Return a page; ``clock`` gives seconds."""
    found = _page(connection, wanted, clock)
    if not wanted.sibling_remote_ids or not found.jobs:
        return found
    return replace(found, siblings=_siblings(connection, found.jobs, wanted.sibling_remote_ids))


def _siblings(connection: Connection, found: Sequence[JobRecord], remote_ids: Sequence[int]) -> list[JobRecord]:
    """Return the other jobs of the files of these jobs: for each file a search in the index of its jobs."""
    ids = {job.id for job in found}
    of_files = jobs.c.file_id.in_(select(jobs.c.file_id).where(_among(jobs.c.id, list(ids))))
    statement = JOBS.where(of_files, (jobs.c.remote_id + 0).in_(remote_ids))
    return [record(row) for row in connection.execute(statement) if row.id not in ids]


def _page(connection: Connection, wanted: JobFilter, clock: Callable[[], float]) -> Page:
    piles = _piles(connection, wanted)
    few = _few(connection, wanted, piles)
    if few is not None:
        return _cut(_gathered(connection, wanted, few), wanted)
    batches = _by_name if wanted.sort is Sort.NAME else _by_index
    found: list[Row[Any]] = []
    last: Cursor | None = None
    until = clock() + PAGE_TIME_BUDGET_SECONDS
    for candidates, end in batches(connection, wanted, piles):
        if last is not None and clock() > until:
            return Page(jobs=[record(row) for row in found], next=last, partial=True)
        found += _sorted(connection, wanted, candidates)
        if len(found) > wanted.limit:
            break
        last = end
    return _cut(found, wanted)


def failed(connection: Connection, limit: int) -> list[int]:
    """Return the ids of failed jobs, of whatever folder and remote."""
    tallied = select(job_tallies.c.folder_id, job_tallies.c.remote_id).where(job_tallies.c.state == State.FAILED)
    pile = tuple_(jobs.c.folder_id, jobs.c.remote_id).in_(tallied)
    return list(connection.execute(select(jobs.c.id).where(pile, jobs.c.state == State.FAILED).limit(limit)).scalars())


def record(row: Row[Any]) -> JobRecord:
    """Return what a row of ``JOBS`` says."""
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


def _cut(found: list[Row[Any]], wanted: JobFilter) -> Page:
    shown = found[: wanted.limit]
    more = len(found) > wanted.limit
    return Page(jobs=[record(row) for row in shown], next=_cursor(shown[-1], wanted.sort) if more else None)


def _piles(connection: Connection, wanted: JobFilter) -> list[_Partition]:
    """Return the piles that may have some, in the order of their folders."""
    statement = (
        select(folders.c.path, job_tallies)
        .join_from(job_tallies, folders, folders.c.id == job_tallies.c.folder_id)
        .where(job_tallies.c.jobs > 0, job_tallies.c.remote_id.in_(wanted.remote_ids))
        .order_by(folders.c.path)
    )
    if wanted.state is not None:
        statement = statement.where(job_tallies.c.state == wanted.state)
    if wanted.folder is not None:
        statement = statement.where(folders.c.path == wanted.folder)
    return [
        _Partition(folder=row.path, folder_id=row.folder_id, remote_id=row.remote_id, state=row.state, jobs=row.jobs)
        for row in connection.execute(statement)
    ]


def _few(connection: Connection, wanted: JobFilter, piles: Sequence[_Partition]) -> ColumnElement[bool] | None:
    """Say which jobs to gather and sort; None if they are too many for that."""
    if wanted.search:
        names = select(files.c.id).where(files.c.folder.in_({pile.folder for pile in piles}), _named(wanted.search))
        found = connection.execute(names.limit(SORT_IN_MEMORY_MAX_JOBS + 1)).scalars().all()
        return _among(jobs.c.file_id, found) if len(found) <= SORT_IN_MEMORY_MAX_JOBS else None
    if wanted.sort is Sort.NAME and sum(pile.jobs for pile in piles) <= SORT_IN_MEMORY_MAX_JOBS:
        ids = [id_ for pile in piles for id_ in connection.execute(select(jobs.c.id).where(*_of(pile))).scalars()]
        return _among(jobs.c.id, ids)
    return None


def _gathered(connection: Connection, wanted: JobFilter, few: ColumnElement[bool]) -> list[Row[Any]]:
    """Return those of the candidates that are wanted, in order: sorted by SQLite, as only a page is to be read."""
    by = [literal_column(f"+{key}", key.type) for key in _KEYS[wanted.sort]]  # no index is to lead but the candidates
    statement = JOBS.where(few, *_filters(wanted)).order_by(*(key.desc() if _down(wanted) else key for key in by))
    if wanted.after is not None:
        after = tuple_(*(literal(part, key.type) for part, key in zip(wanted.after, by, strict=True)))
        statement = statement.where(tuple_(*by) < after if _down(wanted) else tuple_(*by) > after)
    return list(connection.execute(statement.limit(wanted.limit + 1)))


def _by_index(connection: Connection, wanted: JobFilter, piles: Sequence[_Partition]) -> Iterator[_Batch]:
    """Yield jobs in the order of their change or size: the piles, each in order by its index, merged."""
    slab = BATCH_JOBS if wanted.search else wanted.limit + 1
    first = max(8, 2 * slab // max(1, len(piles)))  # of many piles each gives little
    merged = heapq.merge(*(_pile(connection, wanted, pile, first) for pile in piles), reverse=_down(wanted))
    while batch := list(islice(merged, slab)):
        yield _among(jobs.c.id, [id_ for _, id_ in batch]), batch[-1]


def _pile(connection: Connection, wanted: JobFilter, pile: _Partition, slab: int) -> Iterator[tuple[float, int]]:
    """Yield the keys of a pile in order, read ``slab`` by slab, which grow."""
    statement = _IN_ORDER[wanted.sort]
    after: Any = wanted.after or ((_LARGEST, _LARGEST) if _down(wanted) else (-_LARGEST, 0))
    while True:
        place = (pile.folder_id, pile.remote_id, pile.state, *after, slab)
        rows = connection.exec_driver_sql(statement, place).all()  # there may be hundreds of piles: this is the fastest
        yield from map(tuple, rows)
        if len(rows) < slab:
            return
        after, slab = rows[-1], min(2 * slab, BATCH_JOBS)


def _by_name(connection: Connection, wanted: JobFilter, piles: Sequence[_Partition]) -> Iterator[_Batch]:
    """Yield the jobs of one file after the other."""
    begin, path, whole = _file(wanted.after)
    for folder in dict.fromkeys(pile.folder for pile in piles):
        if os.fsencode(folder) < os.fsencode(begin):
            continue
        statement = (
            select(files.c.id, files.c.path).where(files.c.folder == folder).order_by(files.c.path).limit(BATCH_JOBS)
        )
        beyond = files.c.path > path if whole else files.c.path >= path
        rows = connection.execute(statement.where(beyond) if folder == begin else statement).all()
        while rows:
            yield _among(jobs.c.file_id, [row.id for row in rows]), (folder, rows[-1].path, _LARGEST)
            rows = connection.execute(statement.where(files.c.path > rows[-1].path)).all()


def _file(after: Cursor | None) -> tuple[str, str, bool]:
    """Return the folder and the path that a cursor by name stands at, and whether it has all jobs of that file."""
    match after:
        case (str(folder), str(path), remote_id):
            return folder, path, remote_id == _LARGEST
    return "", "", False


def _down(wanted: JobFilter) -> bool:
    return wanted.sort in _DOWN


def _cursor(row: Row[Any], sort: Sort) -> Cursor:
    if sort is Sort.NAME:
        return row.folder, row.path, row.remote_id
    return getattr(row, _COLUMNS[sort]), row.id


def _place(cursor: Any) -> tuple[Any, ...]:
    """Return a cursor in a form whose order is that of the list: names by their bytes."""
    return tuple(os.fsencode(part) if isinstance(part, str) else part for part in cursor)


def _sorted(connection: Connection, wanted: JobFilter, candidates: ColumnElement[bool]) -> list[Row[Any]]:
    """Return those of the candidates that are wanted and come after the cursor, in order."""
    rows = connection.execute(JOBS.where(candidates, *_filters(wanted)))
    return sorted(_after(wanted, rows), key=_key(wanted), reverse=_down(wanted))


def _key(wanted: JobFilter) -> Callable[[Row[Any]], tuple[Any, ...]]:
    return lambda row: _place(_cursor(row, wanted.sort))


def _after(wanted: JobFilter, rows: Any) -> Iterator[Row[Any]]:
    """Yield the rows that come after the cursor."""
    if wanted.after is None:
        return iter(rows)
    at, key = _place(wanted.after), _key(wanted)
    return (row for row in rows if (key(row) < at if _down(wanted) else key(row) > at))


def _of(pile: _Partition) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.folder_id == pile.folder_id, jobs.c.remote_id == pile.remote_id, jobs.c.state == pile.state


def _filters(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Yield what a candidate has to fulfil. Expressions, where SQLite should not think of their indices."""
    yield (jobs.c.remote_id + 0).in_(wanted.remote_ids)
    if wanted.state is not None:
        yield func.likely(jobs.c.state == wanted.state)
    if wanted.folder is not None:
        yield func.likely(files.c.folder == wanted.folder)
    if wanted.search:
        yield _named(wanted.search)


def _named(text: str) -> ColumnElement[bool]:
    """Say that ``text`` is in the path, upper and lower case being one. LIKE takes half the time of lower and instr."""
    escaped = _WILD.sub(r"\\\g<0>", text)
    pattern = cast(literal(os.fsencode(f"%{escaped}%")), Text)
    return cast(files.c.path, Text).like(pattern, escape="\\")


def _among(ids: ColumnElement[int], values: Sequence[int]) -> ColumnElement[bool]:
    """Say that ``ids`` is one of ``values``, of which there may be more than a statement can have parameters."""
    each = func.json_each(json.dumps(list(values))).table_valued(column("value"))
    return ids.in_(select(each.c.value))
