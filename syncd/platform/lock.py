"""Locks the state folder for one process.

The kernel releases the lock when the process ends, even after a crash.
"""

import contextlib
import os
import time
from types import TracebackType
from typing import Self

from syncd.platform.files import SAFE_OPEN_FLAGS, is_locked, lock_file

LOCK_NAME = "lock"
LOCK_TIMEOUT_SECONDS = 0.2
"""Time to wait for the lock, because :func:`holder` takes it for a moment to see whether it is free."""


class AlreadyRunningError(Exception):
    """Another process has locked the state folder. ``pid`` is its number, None if unknown."""

    def __init__(self, state_dir: str, pid: int | None) -> None:
        who = f"another syncd (pid {pid})" if pid else "another syncd"
        stop = f"syncd ctl shutdown, or end process {pid}" if pid else "syncd ctl shutdown"
        super().__init__(f"{who} uses {state_dir}: stop it first ({stop}), or set another state_dir")
        self.pid = pid


class StateLock:
    """Locks ``<state_dir>/lock`` during the context.

    Creates the folder, which only its owner can access, if it is missing. The file contains the pid as text. It is
    never removed: otherwise two processes could lock two files of that name. Raises :class:`AlreadyRunningError`, or
    OSError if the folder cannot be written.
    """

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self._state_dir = os.fspath(state_dir)
        self._fd: int | None = None

    def __enter__(self) -> Self:
        os.makedirs(self._state_dir, mode=0o700, exist_ok=True)
        path = os.path.join(self._state_dir, LOCK_NAME)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | SAFE_OPEN_FLAGS, 0o600)
        try:
            _lock_with_retry(fd)
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            pid = _read_pid(fd)
            os.close(fd)
            raise AlreadyRunningError(self._state_dir, pid) from None
        except OSError as error:
            os.close(fd)
            raise OSError(error.errno, error.strerror, path) from None
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def holder(state_dir: str | os.PathLike[str]) -> int | None:
    """Return the pid of the process that has locked the state folder.

    None if there is none. Changes nothing. Raises OSError if this user cannot read the lock.
    """
    try:
        fd = os.open(os.path.join(state_dir, LOCK_NAME), os.O_RDONLY | SAFE_OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _read_pid(fd) if is_locked(fd) else None
    finally:
        os.close(fd)


def _lock_with_retry(fd: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            lock_file(fd)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOCK_TIMEOUT_SECONDS / 10)
        else:
            return


def _read_pid(fd: int) -> int | None:
    text = os.read(fd, 20).strip()
    return int(text) if text.isdigit() else None
