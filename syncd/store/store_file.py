"""Checks that the store's file is still at its path.

SQLite keeps writing to a file that was deleted or replaced, and these writes are lost when the process ends. Windows
does not let anybody delete or replace an open file.
"""

import os

from syncd.platform.files import OPEN_FILES_REPLACEABLE
from syncd.store.errors import StoreMovedError


class OpenedFile:
    """Identifies the database file and the log that a connection has open.

    It must be created while the files at ``path`` are those that the connection has opened.

    Because the connection keeps them open, no other file can get their inodes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _identity(path)
        self._log = _identity(_log_of(path))

    def file_error(self) -> StoreMovedError | None:
        """Return an error if the file is no longer at its path."""
        if _is_at(self._path, self._file):
            return None
        return StoreMovedError(
            f"{self._path}: the job store was deleted or replaced while syncd runs, nothing can be stored: put the "
            "file back, or restart syncd to use the file that is there then"
        )

    def log_error(self) -> StoreMovedError | None:
        """Return an error if the write-ahead log is no longer at its path.

        New rows would be lost at the end of this process.
        """
        if _is_at(_log_of(self._path), self._log):
            return None
        return StoreMovedError(
            f"{_log_of(self._path)}: the log of the job store was deleted or replaced while syncd runs, nothing can be "
            "stored: restart syncd, or put the file back"
        )


def _log_of(path: str) -> str:
    return f"{path}-wal"


def _identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file at ``path``; None without a file."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info.st_dev, info.st_ino


def _is_at(path: str, identity: tuple[int, int] | None) -> bool:
    """Return False if another file, or none, is at ``path``.

    True if that can't be determined.
    """
    try:
        return not OPEN_FILES_REPLACEABLE or (identity is not None and identity == _identity(path))
    except OSError:
        return True
