"""The Unix twin of :mod:`syncd.platform.windows.files`: open flags, paths and file locks."""

import fcntl
import os
import sys

assert sys.platform != "win32"

SAFE_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
WINDOWS_NAMES = False
OPEN_FILES_REPLACEABLE = True


def to_long_path(path: str) -> str:
    """Return ``path``: only Windows has another form for long paths."""
    return path


def from_long_path(path: str) -> str:
    """Return ``path``: only Windows has another form for long paths."""
    return path


def join_path(folder: str, path: str) -> str:
    """Return ``path``, which is relative, below ``folder``."""
    return os.path.join(folder, "") + path


def to_uri_path(path: str) -> str:
    """Return ``path``: an absolute path is the path of its ``file://`` URI."""
    return path


def from_uri_path(path: str) -> str:
    """Return the absolute path of what follows ``file://`` in a URI."""
    return path


def sync_path(path: str) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | SAFE_OPEN_FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_file(descriptor: int) -> None:
    """Lock an open file until this process ends or closes it.

    Raises BlockingIOError if another process has locked it.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(descriptor: int) -> bool:
    """Return whether another process has locked an open file. Close the file afterwards."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two processes that ask do not see each other
    except BlockingIOError:
        return True
    return False
