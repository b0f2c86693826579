"""Inserts the rows of many new files with one statement.

:mod:`syncd.store.files` finds out which files are new and creates their jobs.
"""

import json
import os
from collections.abc import Sequence

from sqlalchemy import Connection, insert

from syncd.core.model import Fingerprint, FoundFile
from syncd.store.schema import files

FIRST_VERSION = 1
"""The version of a file that was never recorded before."""

# One statement for a whole batch: the writer's thread takes Python's lock twice for each statement, not for each row.
_INSERT_FROM_JSON = f"""\
INSERT INTO files (folder, path, inode, size, mtime_ns, birth_ns, closed, version, present, removed, seen_at)
SELECT ?, CAST(json_extract(value, '$[0]') AS BLOB), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), {FIRST_VERSION}, 1, 0, ?
FROM json_each(?)"""  # noqa: S608 - the version is a constant
_INSERT = insert(files)

NewFile = tuple[FoundFile, Fingerprint]


def insert_files(connection: Connection, folder: str, new: Sequence[NewFile], *, seen_at: float) -> list[int]:
    """Insert files that the store does not know; return their ids in the same order."""
    if not new:
        return []
    if all(_is_text(file.path) for file, _ in new):
        rows = [
            (file.path, str(of.inode), of.size, str(of.mtime_ns), _digits(file.birth_ns), int(file.closed))
            for file, of in new
        ]
        parameters = (os.fsencode(folder), seen_at, json.dumps(rows, ensure_ascii=False))
        last = connection.exec_driver_sql(_INSERT_FROM_JSON, parameters).lastrowid
        return list(range(last - len(new) + 1, last + 1))  # SQLite numbers the rows of a statement consecutively
    return [_insert(connection, folder, each, seen_at) for each in new]


def _insert(connection: Connection, folder: str, new: NewFile, seen_at: float) -> int:
    file, of = new
    values = {
        "folder": folder,
        "path": file.path,
        "inode": of.inode,
        "size": of.size,
        "mtime_ns": of.mtime_ns,
        "birth_ns": file.birth_ns,
        "closed": file.closed,
        "version": FIRST_VERSION,
        "present": True,
        "removed": False,
        "seen_at": seen_at,
    }
    return int(connection.execute(_INSERT, values).lastrowid)


def _is_text(path: str) -> bool:
    """Return True if the bytes of ``path`` are UTF-8, so that JSON can contain it."""
    if path.isascii():
        return True
    try:
        return os.fsencode(path) == path.encode()
    except UnicodeEncodeError:
        return False


def _digits(value: int | None) -> str | None:
    return None if value is None else str(value)
