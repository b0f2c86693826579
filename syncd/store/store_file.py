"""Whether the store's file is still at its path.

SQLite goes on writing to a file that was deleted or replaced, and all of it is lost at the end. On Windows nobody can
delete or replace a file that is open.
"""

import os

from syncd.store.errors import StoreMovedError

_CAN_GO = os.name == "posix"


class OpenedFile:
    """The file at ``path`` and its write-ahead log as they are when this is made, with a connection open to both.

    As the connection holds them open, no other file can get their inodes.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _identity(path)
        self._log = _identity(_log_of(path))

    def moved(self) -> StoreMovedError | None:
        """Return what to say if the file is not at its path any more."""
        if _is_at(self._path, self._file):
            return None
        return StoreMovedError(
            f"{self._path}: the job store was deleted or replaced while syncd runs, nothing can be stored: put the "
            "file back, or restart syncd, which goes on with what is there then"
        )

    def log_moved(self) -> StoreMovedError | None:
        """Return what to say if its log is not at its path any more: new rows would be lost with this process."""
        if _is_at(_log_of(self._path), self._log):
            return None
        return StoreMovedError(
            f"{_log_of(self._path)}: the log of the job store was deleted or replaced while syncd runs, nothing can be "
            "stored: restart syncd, or put the file back"
        )


def _log_of(path: str) -> str:
    return f"{path}-wal"


def _identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file at ``path``; None if there is none."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info.st_dev, info.st_ino


def _is_at(path: str, identity: tuple[int, int] | None) -> bool:
    """Say whether that file is at ``path``, as far as can be seen: a folder that can't be entered says nothing."""
    try:
        return not _CAN_GO or (identity is not None and identity == _identity(path))
    except OSError:
        return True
