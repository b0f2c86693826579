"""Lists jobs page by page, in any order and with any filter.

A page takes the same time with a million jobs as with ten, and so does a search that few files match.

All jobs of one folder, remote and state form a partition. The tallies name the partitions that are not empty. An index
sorts each partition by change time and by size, so a page is a merge of partitions that ends when the page is full.
Sorting by name uses the index of the files. :mod:`~syncd.store.search` finds the files of a search. If there are few
candidates, they are sorted in memory instead. If there are many and the page is not full after a time limit, because
those that come first do not match, all candidates are sorted.
"""

import heapq
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal, literal_column, or_, select, tuple_

from syncd.core.model import Sort
from syncd.core.states import State
from syncd.store import queries, search
from syncd.store.job_rows import JOBS, is_any_of, job_record
from syncd.store.records import Cursor, JobFilter, Page
from syncd.store.schema import files, folders, job_tallies, jobs

SORT_IN_MEMORY_MAX_JOBS = 10_000
"""Up to this many candidates are sorted in memory instead of being read from an index in order."""
BATCH_JOBS = 500
"""The number of candidates that are read and filtered together."""
READ_IN_ORDER_MAX_SECONDS = 0.15
"""If the page is not full after this time, all candidates are sorted."""
SNAPSHOT_PAGE_JOBS = 1000
_LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Partition:
    """The jobs of one folder, remote and state, with their number."""

    folder: str
    folder_id: int
    remote_id: int
    state: State
    jobs: int


_DESCENDING = (Sort.LATEST, Sort.LARGEST)
_COLUMNS = {
    Sort.LATEST: "updated_at",
    Sort.OLDEST: "updated_at",
    Sort.LARGEST: "size",
    Sort.SMALLEST: "size",
}
_SORT_KEYS = {
    **{sort: (jobs.c[by], jobs.c.id) for sort, by in _COLUMNS.items()},
    Sort.NAME: (files.c.folder, files.c.path, jobs.c.remote_id),
}
_KEYS_SQL = (
    "SELECT {by}, id FROM jobs WHERE folder_id = ? AND remote_id = ? AND state = ? AND ({by}, id) {beyond} (?, ?)"
    " ORDER BY {by} {way}, id {way} LIMIT ?"
)
_KEYS_STATEMENTS = {
    sort: _KEYS_SQL.format(
        by=by, beyond="<" if sort in _DESCENDING else ">", way="DESC" if sort in _DESCENDING else "ASC"
    )
    for sort, by in _COLUMNS.items()
}


def page(connection: Connection, query: JobFilter, clock: Callable[[], float] = time.monotonic) -> Page:
    """Return the page that ``query`` selects; ``clock`` returns seconds."""
    found = _page(connection, query, clock)
    if not query.sibling_remote_ids:
        return found
    return replace(found, siblings=queries.siblings(connection, found.jobs, query.sibling_remote_ids))


def snapshot(connection: Connection, query: JobFilter) -> Iterator[Page]:
    """Yield the jobs that ``query`` selects in pages; at least one page.

    A page has up to :data:`SNAPSHOT_PAGE_JOBS` jobs. In one read transaction, the pages together show one moment: each
    job once.
    """
    left = query.limit
    while True:
        found = page(connection, replace(query, limit=min(left, SNAPSHOT_PAGE_JOBS)))
        yield found
        left -= len(found.jobs)
        if found.next is None or left <= 0:
            return
        query = replace(query, after=found.next)


def _page(connection: Connection, query: JobFilter, clock: Callable[[], float]) -> Page:
    partitions = _partitions(connection, query)
    candidates = _few_candidates(connection, query, partitions)
    if candidates is None:
        found = _first_in_order(connection, query, partitions, clock)
        if found is not None:
            return _limited(found, query)
        candidates = _all_candidates(connection, query, partitions)
    return _limited(_sorted_by_database(connection, query, candidates), query)


def _first_in_order(
    connection: Connection, query: JobFilter, partitions: Sequence[_Partition], clock: Callable[[], float]
) -> list[Row[Any]] | None:
    """Read the jobs in order until the page is full; return None if that takes too long."""
    batches = _by_name if query.sort is Sort.NAME else _by_index
    found: list[Row[Any]] = []
    deadline = clock() + READ_IN_ORDER_MAX_SECONDS
    for candidates in batches(connection, query, partitions):
        found += _sorted(connection, query, candidates)
        if len(found) > query.limit:
            break
        if clock() > deadline:
            return None
    return found


def _limited(found: list[Row[Any]], query: JobFilter) -> Page:
    shown = found[: query.limit]
    more = len(found) > query.limit
    return Page(jobs=[job_record(row) for row in shown], next=_cursor(shown[-1], query.sort) if more else None)


def _partitions(connection: Connection, query: JobFilter) -> list[_Partition]:
    """Return the partitions that are not empty and match the filter, sorted by folder."""
    statement = (
        select(folders.c.path, job_tallies)
        .join_from(job_tallies, folders, folders.c.id == job_tallies.c.folder_id)
        .where(job_tallies.c.jobs > 0, job_tallies.c.remote_id.in_(query.remote_ids))
        .order_by(folders.c.path)
    )
    if query.states:
        statement = statement.where(job_tallies.c.state.in_(query.states))
    if query.folder is not None:
        statement = statement.where(folders.c.path == query.folder)
    return [
        _Partition(folder=row.path, folder_id=row.folder_id, remote_id=row.remote_id, state=row.state, jobs=row.jobs)
        for row in connection.execute(statement)
    ]


def _few_candidates(
    connection: Connection, query: JobFilter, partitions: Sequence[_Partition]
) -> ColumnElement[bool] | None:
    """Return the condition for all candidates, None if they are too many to sort."""
    if query.search:
        names = search.matching_files(connection, query.search, {partition.folder for partition in partitions})
        found = connection.execute(names.limit(SORT_IN_MEMORY_MAX_JOBS + 1)).scalars().all()
        return is_any_of(jobs.c.file_id, found) if len(found) <= SORT_IN_MEMORY_MAX_JOBS else None
    if query.sort is Sort.NAME and sum(partition.jobs for partition in partitions) <= SORT_IN_MEMORY_MAX_JOBS:
        selects = (select(jobs.c.id).where(*_in_partition(partition)) for partition in partitions)
        ids = [id_ for statement in selects for id_ in connection.execute(statement).scalars()]
        return is_any_of(jobs.c.id, ids)
    return None


def _all_candidates(connection: Connection, query: JobFilter, partitions: Sequence[_Partition]) -> ColumnElement[bool]:
    """Return the condition for all candidates, however many they are."""
    if query.search:
        names = search.matching_files(connection, query.search, {partition.folder for partition in partitions})
        return jobs.c.file_id.in_(names)
    return or_(*(and_(*_in_partition(partition)) for partition in partitions))


def _sorted_by_database(connection: Connection, query: JobFilter, candidates: ColumnElement[bool]) -> list[Row[Any]]:
    """Return the matching candidates of one page, sorted by SQLite."""
    # The + keeps SQLite from using another index than that of the candidates.
    by = [literal_column(f"+{key}", key.type) for key in _SORT_KEYS[query.sort]]
    statement = JOBS.where(candidates, *_filters(query)).order_by(
        *(key.desc() if _is_descending(query) else key for key in by)
    )
    if query.after is not None:
        after = tuple_(*(literal(part, key.type) for part, key in zip(query.after, by, strict=True)))
        statement = statement.where(tuple_(*by) < after if _is_descending(query) else tuple_(*by) > after)
    return list(connection.execute(statement.limit(query.limit + 1)))


def _by_index(
    connection: Connection, query: JobFilter, partitions: Sequence[_Partition]
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that select the next jobs by change time or size.

    They are a merge of the sorted partitions.
    """
    batch_size = BATCH_JOBS if query.search else query.limit + 1
    first = max(8, 2 * batch_size // max(1, len(partitions)))  # with many partitions each contributes few jobs
    merged = heapq.merge(
        *(_sorted_keys(connection, query, partition, first) for partition in partitions),
        reverse=_is_descending(query),
    )
    while batch := list(islice(merged, batch_size)):
        yield is_any_of(jobs.c.id, [id_ for _, id_ in batch])


def _sorted_keys(
    connection: Connection, query: JobFilter, partition: _Partition, batch_size: int
) -> Iterator[tuple[float, int]]:
    """Yield the keys of a partition in order.

    The first statement reads ``batch_size`` keys, each further one twice as many.
    """
    statement = _KEYS_STATEMENTS[query.sort]
    after: Any = query.after or ((_LARGEST, _LARGEST) if _is_descending(query) else (0, 0))  # each id is positive
    while True:
        parameters = (partition.folder_id, partition.remote_id, partition.state, *after, batch_size)
        rows = connection.exec_driver_sql(statement, parameters).all()  # plain SQL is fast enough for many partitions
        yield from map(tuple, rows)
        if len(rows) < batch_size:
            return
        after, batch_size = rows[-1], min(2 * batch_size, BATCH_JOBS)


def _by_name(
    connection: Connection, query: JobFilter, partitions: Sequence[_Partition]
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that select the next jobs by file name."""
    begin, path = _cursor_file(query.after)
    for folder in dict.fromkeys(partition.folder for partition in partitions):
        if os.fsencode(folder) < os.fsencode(begin):
            continue
        statement = (
            select(files.c.id, files.c.path).where(files.c.folder == folder).order_by(files.c.path).limit(BATCH_JOBS)
        )
        if query.search:
            statement = statement.where(search.path_contains(query.search))
        first = statement.where(files.c.path >= path) if folder == begin else statement
        rows = connection.execute(first).all()
        while rows:
            yield is_any_of(jobs.c.file_id, [row.id for row in rows])
            rows = connection.execute(statement.where(files.c.path > rows[-1].path)).all()


def _cursor_file(after: Cursor | None) -> tuple[str, str]:
    """Return the folder and path of a cursor by name."""
    match after:
        case (str(folder), str(path), _):
            return folder, path
    return "", ""


def _is_descending(query: JobFilter) -> bool:
    return query.sort in _DESCENDING


def _cursor(row: Row[Any], sort: Sort) -> Cursor:
    if sort is Sort.NAME:
        return row.folder, row.path, row.remote_id
    return getattr(row, _COLUMNS[sort]), row.id


def _comparable(cursor: Any) -> tuple[Any, ...]:
    """Return the cursor in a form that compares like the list: names compare by their bytes."""
    return tuple(os.fsencode(part) if isinstance(part, str) else part for part in cursor)


def _sorted(connection: Connection, query: JobFilter, candidates: ColumnElement[bool]) -> list[Row[Any]]:
    """Return the candidates that match the filter and follow the cursor, in order."""
    rows = connection.execute(JOBS.where(candidates, *_filters(query)))
    return sorted(_after(query, rows), key=_key(query), reverse=_is_descending(query))


def _key(query: JobFilter) -> Callable[[Row[Any]], tuple[Any, ...]]:
    return lambda row: _comparable(_cursor(row, query.sort))


def _after(query: JobFilter, rows: Any) -> Iterator[Row[Any]]:
    """Yield the rows that follow the cursor."""
    if query.after is None:
        return iter(rows)
    at, key = _comparable(query.after), _key(query)
    return (row for row in rows if (key(row) < at if _is_descending(query) else key(row) > at))


def _in_partition(partition: _Partition) -> tuple[ColumnElement[bool], ...]:
    return (
        jobs.c.folder_id == partition.folder_id,
        jobs.c.remote_id == partition.remote_id,
        jobs.c.state == partition.state,
    )


def _filters(query: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the filter, in forms for which SQLite uses no index."""
    yield (jobs.c.remote_id + 0).in_(query.remote_ids)
    if query.states:
        yield func.likely(jobs.c.state.in_(query.states))
    if query.folder is not None:
        yield func.likely(files.c.folder == query.folder)
    if query.search:
        yield search.path_contains(query.search)
