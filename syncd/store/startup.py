"""Creates, checks and migrates the store's file at startup, or rejects it unchanged."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager

from syncd.store import migrations
from syncd.store.connection import address, damaged, engine, is_temporary, to_store_error
from syncd.store.errors import StoreTooNewError, StoreUnavailableError

FULL_CHECK_MAX_BYTES = 256 * 1024 * 1024
"""A file up to this size is checked completely at each start.

The check of a larger file would delay the start for minutes. SQLite's log survives a crash, and SQLite reports a
damaged page when it reads the page.
"""
_MAGIC = b"SQLite format 3\0"


def prepare(path: str) -> None:
    """Create or migrate the store at ``path``.

    Raises ``StoreError`` and leaves a bad file unchanged.
    """
    with _translating(path):
        _create(path)
    revision = inspect_revision(path)
    if revision == migrations.HEAD:
        return
    if revision is not None:
        _back_up(path, f"{path}.before-{migrations.HEAD}")
    migrations.upgrade(engine(path, writing=True))


def inspect_revision(path: str) -> str | None:
    """Return the schema revision of an existing file, None if it has no tables yet.

    Write nothing.

    Raises ``StoreError`` if the file is damaged, unreadable or of a later version.
    """
    with _translating(path):
        revision = _revision(path)
    if revision is not None and revision not in migrations.REVISIONS:
        raise StoreTooNewError(
            f"{path}: the job store was written by a later version of syncd ({revision}): update syncd"
        )
    return revision


@contextmanager
def _translating(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: can't open the job store: {error.strerror}: check the folder and its permissions"
        ) from error
    except sqlite3.Error as error:
        raise to_store_error(error, path) if is_temporary(error) else damaged(path, str(error)) from error


def require_current(path: str) -> None:
    """Raise ``StoreError`` unless a store of the newest schema is at ``path``.

    Write nothing.
    """
    if not os.path.lexists(path):
        raise StoreUnavailableError(
            f"{path}: no record of uploads on this machine: copy a backup of the job store there"
        )
    if inspect_revision(path) != migrations.HEAD:
        raise StoreUnavailableError(
            f"{path}: the job store is of an earlier version: run syncd once or syncd run to update it"
        )


def _create(path: str) -> None:
    """Create an empty file for its owner only, unless there is a writable file already."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
    finally:
        os.close(handle)
    if not regular:
        raise OSError(0, "it is not a regular file")


def _revision(path: str) -> str | None:
    """Check the file without writing to it.

    Return its schema revision, None if it has no tables.
    """
    with open(path, "rb") as file:
        head = file.read(len(_MAGIC))
    if not head:
        return None
    if head != _MAGIC:
        raise damaged(path, "it is not a database")
    in_use = os.path.exists(f"{path}-wal")  # a process was killed, or is still running
    mode = "ro" if in_use else "ro&immutable=1"  # so that SQLite does not create other files
    with closing(sqlite3.connect(address(path, mode), uri=True)) as connection:
        if os.path.getsize(path) <= FULL_CHECK_MAX_BYTES:
            (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if finding != "ok":
                raise damaged(path, " ".join(finding.split()))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables:  # the process ended between creating the file and the tables
            return None
        if "alembic_version" not in tables:
            raise damaged(path, "it is a database of another program")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise damaged(path, "its version table is empty")
    return str(row[0])


def copy_store(path: str, target: str) -> None:
    """Copy the store at ``path`` to the new file ``target`` and check the copy.

    Another process may use the store. Raises ``StoreError`` if there is no store, or if it is damaged.
    """
    require_current(path)
    with _translating(path):
        _back_up(path, target)
    inspect_revision(target)


def _back_up(path: str, target: str) -> None:
    """Copy the store, including its write-ahead log, to ``target``.

    Readable by its owner only.
    """
    part = f"{target}.part"
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with (
        closing(sqlite3.connect(address(path, "ro"), uri=True)) as source,
        closing(sqlite3.connect(address(part, "rw"), uri=True)) as copy,
    ):
        source.backup(copy)
    os.replace(part, target)
