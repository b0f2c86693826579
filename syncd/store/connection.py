"""How the file is opened by SQLite, and what its errors mean."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from syncd.store.errors import StoreDamagedError, StoreError, StoreMovedError, StoreUnavailableError

BUSY_TIMEOUT_SECONDS = 1.0
"""Seconds that SQLite itself waits for a lock of another program."""

_PASSING = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
    )
)
_ADVICE: dict[int | None, str] = {
    sqlite3.SQLITE_BUSY: "another program holds the file: end it",
    sqlite3.SQLITE_LOCKED: "another program holds the file: end it",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "the disk or its file system fails: see the log of the kernel",
    sqlite3.SQLITE_NOMEM: "the machine is out of memory",
    sqlite3.SQLITE_READONLY: "is it mounted read-only, or the file's mode wrong?",
}
"""What to do, by the kind of error; for all else: look at the permissions."""
_PERMISSIONS = "check the folder and the permissions"
_FULL = 64 * 1024
"""Free bytes below which a disk is taken to be full."""
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def address(path: str, mode: str) -> str:
    """Return the URI of the file; ``mode``, ``ro`` or ``rw``, lets SQLite make no new one."""
    return f"{Path(path).absolute().as_uri()}?mode={mode}"


def engine(path: str, *, writing: bool) -> Engine:
    """Return an engine on an existing file; each of its connections stays in the thread that made it."""

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(address(path, "rw"), uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL") if writing else ("query_only = ON",):
                raw.execute(f"PRAGMA {pragma}")
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA temp_store = MEMORY")  # there may be no folder for temporary files
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    made = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    begin = "BEGIN IMMEDIATE" if writing else "BEGIN"

    @event.listens_for(made, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return made


def _code(error: Exception) -> int | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_passing(error: Exception) -> bool:
    """Say whether it is an error of the machine, as a full disk, that the same work need not meet again."""
    return isinstance(error, StoreMovedError) or _code(error) in _PASSING


def translated(error: Exception, path: str) -> Exception:
    """Return what ``error`` means to a caller: one of the disk or the file as a ``StoreError``, others as they are."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if _code(error) in _DAMAGE:
        return damaged(path, str(cause))
    if _code(error) in _PASSING:
        name = getattr(cause, "sqlite_errorname", None)  # tells what the text does not: which call has failed
        what = f"{cause} ({name})" if name else str(cause)
        advice = _ADVICE.get(_kind(error, path), _PERMISSIONS)
        return StoreUnavailableError(f"{path}: the job store can't be used: {what}: {advice}")
    return error


def _kind(error: Exception, path: str) -> int | None:
    """Return the kind of error; SQLite has "disk I/O error" for some of what it may not do on a full disk."""
    code = _code(error)
    if code == sqlite3.SQLITE_IOERR:
        with suppress(OSError):
            if shutil.disk_usage(Path(path).parent).free < _FULL:
                return sqlite3.SQLITE_FULL
    return code


def damaged(path: str, how: str) -> StoreError:
    """Return the error for a file that is not, or not whole, a job store."""
    return StoreDamagedError(
        f"{path}: the job store is damaged ({how}): move it away and start again; "
        "what the servers have already is found there and not sent twice"
    )
