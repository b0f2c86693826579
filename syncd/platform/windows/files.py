"""The Windows twin of :mod:`syncd.platform.posix.files`. Imports no pywin32."""

import errno
import msvcrt
import os
import sys

assert sys.platform == "win32"

SAFE_OPEN_FLAGS = os.O_BINARY
WINDOWS_NAMES = True
OPEN_FILES_REPLACEABLE = False

_LOCKED_OFFSET = 2**31 - 2
"""Offset of the locked byte, beyond the content: other processes cannot read a locked byte."""


def to_long_path(path: str) -> str:
    r"""Return an absolute path as ``\\?\C:\photos``, without a length limit or device names."""
    if path.startswith("\\\\?\\"):
        return path
    path = os.path.abspath(path)
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def from_long_path(path: str) -> str:
    """Return the usual form of a path from :func:`to_long_path`."""
    path = path.removeprefix("\\\\?\\")
    return "\\" + path[3:] if path.startswith("UNC\\") else path


def join_path(folder: str, path: str) -> str:
    """Return the long path of ``path``, with ``/`` between its parts, below ``folder``.

    ``C:x`` stays below it.
    """
    return os.path.join(to_long_path(folder), "") + path.replace("/", os.sep)


def to_uri_path(path: str) -> str:
    r"""Return ``/C:/photos`` for ``C:\photos``, and ``server/share`` for ``\\server\share``."""
    slashed = path.replace("\\", "/")
    return slashed[2:] if slashed.startswith("//") else f"/{slashed}"


def from_uri_path(path: str) -> str:
    """Return the absolute path of what follows ``file://`` in a URI."""
    return (path[1:] if path.startswith("/") else f"//{path}").replace("/", "\\")


def sync_path(path: str) -> None:
    """Flush a file to the disk. A folder needs no flush."""
    if os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDWR | SAFE_OPEN_FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_file(descriptor: int) -> None:
    """Lock an open file until this process ends or closes it.

    Raises BlockingIOError if another process has locked it.
    """
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _LOCKED_OFFSET, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process has locked it") from None
    finally:
        os.lseek(descriptor, at, os.SEEK_SET)


def is_locked(descriptor: int) -> bool:
    """Return whether another process has locked an open file. Close the file afterwards."""
    try:
        lock_file(descriptor)
    except BlockingIOError:
        return True
    return False
