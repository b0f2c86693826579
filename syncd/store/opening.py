"""Making the store's file ready: made, checked, brought to the newest schema, or refused as it is."""

import os
import sqlite3
import stat
from contextlib import closing

from syncd.store import migrations
from syncd.store.connection import address, damaged, engine, translated
from syncd.store.errors import StoreTooNew, StoreUnavailable

FULL_CHECK = 256 * 1024 * 1024
"""Bytes up to which the whole file is checked at each start; a larger one only if it was not closed in order."""
_MAGIC = b"SQLite format 3\0"


def prepare(path: str) -> None:
    """Make the file at ``path`` a job store of the newest schema, or raise a ``StoreError`` and leave it as it is."""
    try:
        empty = _create(path)
        revision = None if empty else _revision(path)
    except (OSError, sqlite3.Error) as error:
        failure = translated(error, path)
        if failure is error:
            reason = error.strerror if isinstance(error, OSError) else error
            failure = StoreUnavailable(
                f"{path}: can't open the job store: {reason}: check the folder and its permissions"
            )
        raise failure from error
    if revision == migrations.HEAD:
        return
    if revision is not None:
        if revision not in migrations.REVISIONS:
            raise StoreTooNew(f"{path}: the job store is of a later version of syncd ({revision}): update syncd")
        _back_up(path, f"{path}.before-{migrations.HEAD}")
    migrations.upgrade(engine(path, writing=True))


def _create(path: str) -> bool:
    """Make the file, for its owner alone, unless it is there; return whether there is nothing in it."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a regular file")
    return status.st_size == 0


def _revision(path: str) -> str:
    """Check an existing file without writing to it; return the schema's revision."""
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise damaged(path, "it is not a database")
    with closing(sqlite3.connect(address(path, "ro"), uri=True, isolation_level=None)) as connection:
        if os.path.getsize(path) <= FULL_CHECK or _has_log(path):
            finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if finding != "ok":
                raise damaged(path, " ".join(finding.split()))
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise damaged(path, "it is a database of another program")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise damaged(path, "it does not say its version")
    return str(row[0])


def _has_log(path: str) -> bool:
    """Say whether there is a write-ahead log, as after a crash."""
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except FileNotFoundError:
        return False


def _back_up(path: str, target: str) -> None:
    """Copy the store, with what its log holds, beside it; readable by the owner alone."""
    part = f"{target}.part"
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with (
        closing(sqlite3.connect(address(path, "ro"), uri=True)) as source,
        closing(sqlite3.connect(address(part, "rw"), uri=True)) as copy,
    ):
        source.backup(copy)
    os.replace(part, target)
