"""Looks up the records of many contents at a time, before they are uploaded.

:mod:`~syncd.store.uploads` and :mod:`~syncd.store.cancellations` write what is read here.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from syncd.store.job_rows import as_parameter, listed
from syncd.store.records import ContentQuery, ContentRecords, StoredContent
from syncd.store.schema import contents, jobs, remotes, sessions
from syncd.store.uploads import read_session, stored_content

_BY_KEYS = select(contents).where(contents.c.remote_id.in_(select(remotes.c.id)), contents.c.key.in_(listed("keys")))
"""Listing the remotes lets SQLite use the index."""
_BY_HASHES = select(contents).where(contents.c.sha256.in_(listed("hashes")))
_SESSIONS_BY_KEYS = select(sessions).where(
    sessions.c.remote_id.in_(select(remotes.c.id)), sessions.c.key.in_(listed("keys"))
)
_CANCELLED = (
    select(jobs.c.remote_id, jobs.c.cancelled_sha256)
    .where(jobs.c.remote_id.in_(select(remotes.c.id)), text("cancelled_sha256 IS NOT NULL"))
    .where(jobs.c.cancelled_sha256.in_(listed("hashes")))
)


def look_up(connection: Connection, queries: Sequence[ContentQuery]) -> list[ContentRecords]:
    """Return what is known of each content, with one statement of each kind for all of them."""
    keys = {"keys": as_parameter({query.key for query in queries})}
    hashes = {"hashes": as_parameter({query.sha256 for query in queries if query.sha256 is not None})}
    rows = [*connection.execute(_BY_KEYS, keys), *connection.execute(_BY_HASHES, hashes)]
    found = {(row.remote_id, row.key): stored_content(row) for row in rows}
    sessions_found = {(row.remote_id, row.key): row for row in connection.execute(_SESSIONS_BY_KEYS, keys)}
    cancelled = {(row.remote_id, row.cancelled_sha256) for row in connection.execute(_CANCELLED, hashes)}
    result = []
    for query in queries:
        of_remote = (query.remote_id, query.key)
        row = sessions_found.get(of_remote)
        result.append(
            ContentRecords(
                stored=found.get(of_remote),
                anywhere=[each for each in found.values() if _same_bytes(each, query)] if found else [],
                session=None if row is None else read_session(connection, row),
                cancelled=(query.remote_id, query.sha256) in cancelled,
            )
        )
    return result


def _same_bytes(stored: StoredContent, query: ContentQuery) -> bool:
    """Return whether ``stored`` has the bytes of the query."""
    # Uploads by MD5 of earlier versions have no SHA-256, but the same key.
    return stored.key == query.key or (query.sha256 is not None and stored.sha256 == query.sha256)
