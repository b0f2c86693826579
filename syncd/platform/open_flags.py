"""Opening and holding files, said once for all systems: what a system has no flag for, it does not do by itself."""

import errno
import os
import sys

_WANTED = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
SAFE_OPEN_FLAGS = sum(getattr(os, name, 0) for name in _WANTED)
"""Flags to open by: no link is followed, no FIFO waited for, no child inherits it, and bytes stay as they are."""

if sys.platform == "win32":
    import msvcrt

    _FAR = 2**31 - 2
    """The byte that is locked, beyond what is in the file: others can't read one that is locked."""

    def to_long_path(path: str) -> str:
        r"""Return an absolute path in the form ``\\?\C:\photos``: of any length, and ``NUL`` in it is no device."""
        if path.startswith("\\\\?\\"):
            return path
        path = os.path.abspath(path)
        return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path

    def from_long_path(path: str) -> str:
        """Return what people know a path of :func:`to_long_path` by."""
        path = path.removeprefix("\\\\?\\")
        return "\\" + path[3:] if path.startswith("UNC\\") else path

    def lock_file(descriptor: int) -> None:
        """Have an open file for this process alone until it ends, however it ends; BlockingIOError if another has."""
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process has it") from None
        finally:
            os.lseek(descriptor, at, os.SEEK_SET)

    def is_locked(descriptor: int) -> bool:
        """Say whether another process holds an open file; the file is to be closed after that."""
        try:
            lock_file(descriptor)
        except BlockingIOError:
            return True
        return False
else:
    import fcntl

    def to_long_path(path: str) -> str:
        """Return the path as it is: it is only Windows that has another form for those that are long or strange."""
        return path

    def from_long_path(path: str) -> str:
        """Return the path as it is, as above."""
        return path

    def lock_file(descriptor: int) -> None:
        """Have an open file for this process alone until it ends, however it ends; BlockingIOError if another has."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_locked(descriptor: int) -> bool:
        """Say whether another process holds an open file; the file is to be closed after that."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that two who ask do not see each other
        except BlockingIOError:
            return True
        return False


def join_path(folder: str, path: str) -> str:
    """Return where ``path``, with ``/`` between its parts, is below ``folder``; ``C:x`` leads nowhere else."""
    return os.path.join(to_long_path(folder), "") + path.replace("/", os.sep)
