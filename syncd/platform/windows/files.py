r"""The Windows twin of :mod:`syncd.platform.posix.files`: open flags, long paths and file locks. Imports no pywin32."""

import errno
import msvcrt
import os
import sys

assert sys.platform == "win32"

SAFE_OPEN_FLAGS = os.O_BINARY

_LOCKED_OFFSET = 2**31 - 2
"""Offset of the locked byte, beyond the content: other processes cannot read a locked byte."""


def to_long_path(path: str) -> str:
    r"""Return an absolute path in the form ``\\?\C:\photos``, which has no length limit and no device names."""
    if path.startswith("\\\\?\\"):
        return path
    path = os.path.abspath(path)
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def from_long_path(path: str) -> str:
    """Return the usual form of a path from :func:`to_long_path`."""
    path = path.removeprefix("\\\\?\\")
    return "\\" + path[3:] if path.startswith("UNC\\") else path


def join_path(folder: str, path: str) -> str:
    """Return the long path of ``path``, with ``/`` between its parts, below ``folder``; ``C:x`` stays below it."""
    return os.path.join(to_long_path(folder), "") + path.replace("/", os.sep)


def socket_folder(_address: str) -> str | None:
    """Return None: a named pipe has no folder."""
    return None


def lock_file(descriptor: int) -> None:
    """Lock an open file until this process ends or closes it; BlockingIOError if another process has locked it."""
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
