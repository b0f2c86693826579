"""The Unix twin of :mod:`syncd.platform.windows.files`: open flags, paths and file locks."""

import fcntl
import os
import sys

assert sys.platform != "win32"

SAFE_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def to_long_path(path: str) -> str:
    """Return ``path``: only Windows has another form for long paths."""
    return path


def from_long_path(path: str) -> str:
    """Return ``path``: only Windows has another form for long paths."""
    return path


def join_path(folder: str, path: str) -> str:
    """Return ``path``, which is relative, below ``folder``."""
    return os.path.join(folder, "") + path


def socket_folder(address: str) -> str | None:
    """Return the folder of the socket with this address."""
    return os.path.dirname(os.path.abspath(address))


def lock_file(descriptor: int) -> None:
    """Lock an open file until this process ends or closes it; BlockingIOError if another process has locked it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(descriptor: int) -> bool:
    """Return whether another process has locked an open file. Close the file afterwards."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two processes that ask do not see each other
    except BlockingIOError:
        return True
    return False
