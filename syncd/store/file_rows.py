"""Reads and inserts the rows of many files with one statement.

:mod:`syncd.store.files` finds out which files are new or have changed, and updates their jobs.
"""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, text

from syncd.core.model import Fingerprint, FoundFile
from syncd.store.job_rows import batched
from syncd.store.schema import files

FIRST_VERSION = 1
"""The version of a file that was never recorded before."""

_IN_FOLDER = select(files).where(files.c.folder == bindparam("folder"))
_AT = _IN_FOLDER.where(text("path IN (SELECT CAST(value AS BLOB) FROM json_each(:paths))"))
_AT_ANY = _IN_FOLDER.where(files.c.path.in_(bindparam("paths", expanding=True)))
# One statement for a whole batch, because Python's lock is taken for each statement.
_INSERT_FROM_JSON = f"""\
INSERT INTO files (folder, path, inode, size, mtime_ns, birth_ns, closed, version, present, removed, seen_at)
SELECT ?, CAST(json_extract(value, '$[0]') AS BLOB), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
  json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), {FIRST_VERSION}, 1, 0, ?
FROM json_each(?)"""  # noqa: S608 - the version is a constant
_INSERT = insert(files)

NewFile = tuple[FoundFile, Fingerprint]


def files_at(connection: Connection, folder: str, paths: Iterable[str]) -> list[Row[Any]]:
    """Return the rows of the files at ``paths``."""
    odd: list[str] = []
    usual: list[str] = []
    for path in paths:
        (usual if _is_text(path) else odd).append(path)
    rows = list(connection.execute(_AT, {"folder": folder, "paths": json.dumps(usual, ensure_ascii=False)}))
    for batch in batched(odd):
        rows += connection.execute(_AT_ANY, {"folder": folder, "paths": batch})
    return rows


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
