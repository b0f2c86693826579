"""One daemon a state folder: a lock that the kernel lets go of when the process ends, however it ends."""

import contextlib
import os
import time
from types import TracebackType
from typing import Self

from syncd.platform.files import SAFE_OPEN_FLAGS, is_locked, lock_file

LOCK_NAME = "lock"
PATIENCE = 0.2
"""Seconds to wait for the lock: :func:`holder` takes it for a moment, to see whether it is free."""


class AlreadyRunning(Exception):  # noqa: N818 - it says what is the case
    """Another process holds the state folder. ``pid`` is its number, or None where it could not be read."""

    def __init__(self, state_dir: str, pid: int | None) -> None:
        who = f"another syncd (pid {pid})" if pid else "another syncd"
        stop = f"syncd ctl shutdown, or end process {pid}" if pid else "syncd ctl shutdown"
        super().__init__(f"{who} uses {state_dir}: stop it first ({stop}), or set another state_dir")
        self.pid = pid


class StateLock:
    """Holds ``<state_dir>/lock`` as long as the context lasts; makes the folder, open to its owner alone, if missing.

    The file holds the pid as text and stays behind: removing it would let two processes lock two files of one name.
    Raises :class:`AlreadyRunning`, or OSError where the folder can't be written.
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
            raise AlreadyRunning(self._state_dir, pid) from None
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
    """Return the pid of the process that holds the state folder; None if there is none. Changes nothing.

    OSError where this user may not look.
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
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            lock_file(fd)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PATIENCE / 10)
        else:
            return


def _read_pid(fd: int) -> int | None:
    text = os.read(fd, 20).strip()
    return int(text) if text.isdigit() else None
