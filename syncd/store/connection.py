"""Opens SQLite connections to the store's file and translates SQLite's errors."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from syncd.store.errors import StoreDamagedError, StoreError, StoreMovedError, StoreUnavailableError

BUSY_TIMEOUT_SECONDS = 1.0
"""How long SQLite waits for the lock of another program before it reports an error."""

_TEMPORARY = frozenset(
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
    sqlite3.SQLITE_BUSY: "another program has locked the file: end that program",
    sqlite3.SQLITE_LOCKED: "another program has locked the file: end that program",
    sqlite3.SQLITE_FULL: "free space on the disk",
    sqlite3.SQLITE_IOERR: "the disk or its file system is failing: see the kernel log",
    sqlite3.SQLITE_NOMEM: "the machine is out of memory",
    sqlite3.SQLITE_READONLY: "mount the file system writable, and check the mode of the file",
}
"""The advice for each SQLite error code; the default is ``_PERMISSIONS``."""
_PERMISSIONS = "check the folder and the permissions"
_DISK_FULL_BYTES = 64 * 1024
"""A disk with fewer free bytes counts as full."""
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def address(path: str, mode: str) -> str:
    """Return the SQLite URI of the file; both modes, ``ro`` and ``rw``, never create a file."""
    return f"{Path(path).absolute().as_uri()}?mode={mode}"


def engine(path: str, *, writing: bool) -> Engine:
    """Return an engine for an existing file.

    Use each connection only in the thread that opened it.
    """

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(address(path, "rw"), uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL") if writing else ("query_only = ON",):
                raw.execute(f"PRAGMA {pragma}")
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA temp_store = MEMORY")  # a container may have no directory for temporary files
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


def set_durable(connection: Connection, durable: bool) -> None:
    """Set whether the next commit waits for the disk.

    If so, it returns when it and all earlier commits are on the disk.
    """
    connection.connection.cursor().execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")


def _code(error: Exception) -> int | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_temporary(error: Exception) -> bool:
    """Return True if a retry may succeed, as after a full disk."""
    return isinstance(error, StoreMovedError) or _code(error) in _TEMPORARY


def to_store_error(error: Exception, path: str) -> Exception:
    """Convert errors of the disk and the file into a ``StoreError``.

    Return other errors unchanged.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if _code(error) in _DAMAGE:
        return damaged(path, str(cause))
    if _code(error) in _TEMPORARY:
        name = getattr(cause, "sqlite_errorname", None)  # names the failed system call, which the text does not
        what = f"{cause} ({name})" if name else str(cause)
        advice = _ADVICE.get(_cause_code(error, path), _PERMISSIONS)
        return StoreUnavailableError(f"{path}: the job store can't be used: {what}: {advice}")
    return error


def _cause_code(error: Exception, path: str) -> int | None:
    """Return the error code, with "full" instead of "disk I/O error" if the disk is full."""
    code = _code(error)
    if code == sqlite3.SQLITE_IOERR:
        with suppress(OSError):
            if shutil.disk_usage(Path(path).parent).free < _DISK_FULL_BYTES:
                return sqlite3.SQLITE_FULL
    return code


def damaged(path: str, how: str) -> StoreError:
    """Return the error for a file that is not a job store, or is a damaged one."""
    return StoreDamagedError(
        f"{path}: the job store is damaged ({how}): move it away and start syncd again; "
        "content that the servers already have is not uploaded twice"
    )
