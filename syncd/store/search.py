"""Finds files by a text in their path, with an FTS5 index of trigrams.

:func:`prepare` creates the index in the store's file, and triggers on ``files`` that keep it current. The index is
derived data, so no migration creates it: a Python whose SQLite has no trigram tokenizer (FTS5, SQLite 3.34) drops the
triggers, and the next one that has it builds the index again. Without the index a search scans the paths, and so does
a search for one or two characters.

The index contains the trigrams of each path without their positions. It returns candidates, and LIKE decides, so both
ways find the same files. LIKE ignores the case of ASCII letters only.

Processor time with 550,000 files and 1,000,000 jobs, with the index and by a scan: a text that no file has 2 and 87 ms,
60 files have 17 and 103 ms, a tenth of the files have and all other jobs precede 173 and 296 ms. The index takes 3 µs
and 38 bytes a file. Adding 30,000 files takes 1.04 times as long, one by one 1.1 times.
"""

import os
import re
import sqlite3
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Integer, Select, Text, cast, column, literal, select, table, text
from sqlalchemy.exc import DBAPIError

from syncd.store.connection import is_temporary
from syncd.store.schema import files

TRIGRAM_SQLITE_VERSION = (3, 34)
TRIGRAM_CHARACTERS = 3
MAX_TRIGRAMS = 32
"""A query contains at most this many trigrams of a long text; LIKE compares the rest."""
_LIKE_WILDCARD = re.compile(r"[\\%_]")
_NOT_INDEXED = re.compile("[\0\ud800-\udfff]")
"""FTS5 ends a query at NUL, and the surrogates stand for bytes that are not UTF-8."""

_HAS_FTS5 = text("SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'")
_CREATE_INDEX = (
    "CREATE VIRTUAL TABLE file_search"
    " USING fts5 (path, content = '', detail = none, columnsize = 0, tokenize = 'trigram')"
)
_FILL_INDEX = "INSERT INTO file_search (rowid, path) SELECT id, CAST(path AS TEXT) FROM files ORDER BY id"
_ADD = "INSERT INTO file_search (rowid, path) VALUES (new.id, CAST(new.path AS TEXT));"
_REMOVE = "INSERT INTO file_search (file_search, rowid, path) VALUES ('delete', old.id, CAST(old.path AS TEXT));"
_TRIGGERS = {
    "file_search_inserted": f"AFTER INSERT ON files BEGIN {_ADD} END",
    "file_search_renamed": f"AFTER UPDATE OF path ON files WHEN new.path <> old.path BEGIN {_REMOVE} {_ADD} END",
}
_HAS_TRIGGERS = text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = 'file_search_renamed'")
_INDEX = table("file_search", column("rowid", Integer))
_CANDIDATES = (
    select(files.c.id)
    .join_from(_INDEX, files, files.c.id == _INDEX.c.rowid + 0)  # the + 0 makes SQLite read the candidates first
    .where(text("file_search MATCH :trigrams"))
)


def prepare(connection: Connection) -> None:
    """Create and fill the index, or drop its triggers if this SQLite can't maintain it.

    If the disk has no room for the index, the store is used without it.
    """
    try:
        with connection.begin():
            supported = is_supported(connection)
            if supported == is_indexed(connection):
                return
            for name in _TRIGGERS:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            if supported:
                connection.exec_driver_sql("DROP TABLE IF EXISTS file_search")
                connection.exec_driver_sql(_CREATE_INDEX)
                connection.exec_driver_sql(_FILL_INDEX)
                for name, definition in _TRIGGERS.items():
                    connection.exec_driver_sql(f"CREATE TRIGGER {name} {definition}")
    except DBAPIError as error:
        if not is_temporary(error):
            raise


def is_supported(connection: Connection) -> bool:
    """Return True if this SQLite has a trigram tokenizer."""
    return sqlite3.sqlite_version_info >= TRIGRAM_SQLITE_VERSION and bool(connection.execute(_HAS_FTS5).scalar())


def is_indexed(connection: Connection) -> bool:
    """Return True if the store has the index, and triggers keep it current."""
    return bool(connection.execute(_HAS_TRIGGERS).scalar())


def matching_files(connection: Connection, search: str, folders: Collection[str]) -> Select[int]:
    """Return the statement that selects files with ``search`` in their path.

    The files are in ``folders``; the rows are their ids.
    """
    trigrams = _query(search)
    found = select(files.c.id)
    if trigrams is not None and is_indexed(connection):
        found = _CANDIDATES.params(trigrams=trigrams)
    return found.where(files.c.folder.in_(folders), path_contains(search))


def path_contains(search: str) -> ColumnElement[bool]:
    """Return the condition that the path contains ``search``.

    The case of ASCII letters does not matter.
    """
    # LIKE is twice as fast as lower() and instr().
    escaped = _LIKE_WILDCARD.sub(r"\\\g<0>", search)
    pattern = cast(literal(os.fsencode(f"%{escaped}%")), Text)
    return cast(files.c.path, Text).like(pattern, escape="\\")


def _query(search: str) -> str | None:
    """Return the FTS5 query for all trigrams of ``search``; None if it has none."""
    if len(search) < TRIGRAM_CHARACTERS or _NOT_INDEXED.search(search):
        return None
    starts = range(min(len(search) - TRIGRAM_CHARACTERS + 1, MAX_TRIGRAMS))
    trigrams = (search[start : start + TRIGRAM_CHARACTERS].replace('"', '""') for start in starts)
    return " AND ".join(f'"{trigram}"' for trigram in dict.fromkeys(trigrams))
