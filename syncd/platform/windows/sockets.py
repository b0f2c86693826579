"""The Windows twin of :mod:`syncd.platform.posix.sockets`.

Named pipes with the methods of a socket replace Unix sockets. The module uses only the standard library, because
pywin32 takes longer to load than the rest of a command.
"""

import _winapi
import getpass
import os
import socket
import sys
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

assert sys.platform == "win32"

_IDENTIFY = 0x0011_0000
"""SECURITY_SQOS_PRESENT and SECURITY_IDENTIFICATION: the server can identify the client, but not impersonate it."""
_RETRY_INTERVAL_SECONDS = 0.01

MAX_SOCKET_PATH_BYTES: int | None = None


class Connection:
    """An open named pipe with the methods of a socket.

    They raise TimeoutError after ``timeout`` seconds without progress, and OSError.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._timeout: float | None = timeout
        self._handle = _open(path, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pipe; further calls have no effect."""
        if self._handle:
            _winapi.CloseHandle(self._handle)
            self._handle = 0

    def settimeout(self, timeout: float | None) -> None:
        """Set the time limit of the following calls; None for no limit."""
        self._timeout = timeout

    def sendall(self, data: bytes) -> None:
        """Write ``data``."""
        while data:
            operation, _ = _winapi.WriteFile(self._handle, data, overlapped=True)
            data = data[self._wait(operation) :]

    def recv(self, size: int) -> bytes:
        """Wait for bytes, and return at most ``size`` of them; empty at the end."""
        try:
            operation, _ = _winapi.ReadFile(self._handle, size, overlapped=True)
            self._wait(operation)
        except BrokenPipeError:
            return b""
        return bytes(operation.getbuffer() or b"")

    def _wait(self, operation: "_winapi.Overlapped") -> int:
        """Wait for the operation, and return the number of transferred bytes."""
        limit_ms = _winapi.INFINITE if self._timeout is None else round(self._timeout * 1000)
        try:
            timed_out = _winapi.WaitForMultipleObjects([operation.event], False, limit_ms) == _winapi.WAIT_TIMEOUT
        except BaseException:
            operation.cancel()
            raise
        if timed_out:
            operation.cancel()
            raise TimeoutError
        moved, _ = operation.GetOverlappedResult(True)
        return moved


def _open(path: str, timeout: float) -> int:
    """Open the pipe as soon as one of its instances is free."""
    deadline = time.monotonic() + timeout
    access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
    flags = _winapi.FILE_FLAG_OVERLAPPED | _IDENTIFY
    while True:
        try:
            return _winapi.CreateFile(path, access, 0, _winapi.NULL, _winapi.OPEN_EXISTING, flags, _winapi.NULL)
        except OSError as error:
            if error.winerror != _winapi.ERROR_PIPE_BUSY:
                raise
            if time.monotonic() > deadline:
                raise TimeoutError from None
        time.sleep(_RETRY_INTERVAL_SECONDS)


def connect(path: str, timeout: float) -> Connection:
    """Open the pipe at ``path``. Raises OSError, TimeoutError after ``timeout`` seconds."""
    return Connection(path, timeout)


def default_pipe(service: str | None, state_dir: Path | None) -> Path | None:
    """Return the pipe of a service, or of this user for None.

    Each ``state_dir`` that is set has its own.
    """
    name = f"{service}-service" if service else f"syncd-{getpass.getuser()}"
    if state_dir is not None:
        name += f"-{zlib.crc32(os.fsencode(state_dir)):08x}"
    return Path(rf"\\.\pipe\{name}")


def socket_folder(_address: str) -> str | None:
    """Return None: a named pipe has no folder."""
    return None


def limit_unsent_bytes(_connection: socket.socket, _size: int) -> None:
    """Do nothing: Windows has no such limit."""
