"""Reads the recorded files of a folder page by page.

A scan compares them with the files on disk (:mod:`syncd.watch.recorded_files`).
:func:`syncd.store.files.diff` decides exactly which files differ. A page only says which files certainly need nothing
if they are unchanged on disk, and reads no rows of jobs for that.
"""

import json
import os
from collections.abc import Sequence

from sqlalchemy import Connection

from syncd.core.states import WAITS_FOR_WATCH, Cause, State

Stamp = tuple[int, int, int]

# The result is one value, because Python's lock is taken for each row that SQLite returns.
_PAGE = f"""\
SELECT '[' ||
  group_concat('["' || hex(path) || '",' || inode || ',' || size || ',' || mtime_ns || ',' || settled || ']') || ']'
FROM (
  SELECT path, inode, size, mtime_ns, :remotes = (
    SELECT coalesce(sum(CASE
      WHEN jobs.remote_id IN (SELECT value FROM json_each(:remote_ids)) THEN
        CASE WHEN state = '{State.UPLOADING}' OR (
          jobs.version = files.version
          AND NOT (state = '{State.SKIPPED}' AND cause IN ('{Cause.UNFIT}', '{Cause.GONE}'))
          AND NOT (state = '{State.WAITING}' AND detail IN (SELECT value FROM json_each(:waits_for_watch)))
        ) THEN 1 ELSE -1000 END
      WHEN state IN ('{State.QUEUED}', '{State.WAITING}', '{State.FAILED}') THEN -1000
      ELSE 0
    END), 0) FROM jobs WHERE jobs.file_id = files.id
  ) AS settled
  FROM files WHERE folder = :folder AND path > :after AND files.present ORDER BY path LIMIT :limit
)"""  # noqa: S608 - all values that it contains are constants


def recorded_page(
    connection: Connection, folder: str, remote_ids: Sequence[int], *, after: bytes, limit: int
) -> dict[bytes, Stamp | None]:
    """Return up to ``limit`` present files whose paths follow ``after``.

    The paths are in the order of their bytes. The value is inode, size and mtime in nanoseconds, or None if the jobs of
    the file need a change even if the file itself is unchanged: the file may be unfit, or has no job for one of the
    remotes.
    """
    parameters = {
        "remotes": len(set(remote_ids)),
        "remote_ids": json.dumps(list(remote_ids)),
        "waits_for_watch": json.dumps(WAITS_FOR_WATCH),
        "folder": os.fsencode(folder),
        "after": after,
        "limit": limit,
    }
    rows = json.loads(connection.exec_driver_sql(_PAGE, parameters).scalar() or "[]")
    return {
        bytes.fromhex(path): (inode, size, mtime_ns) if settled else None
        for path, inode, size, mtime_ns, settled in rows
    }
