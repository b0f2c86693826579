"""A named pipe of Windows with the few methods of a socket that the client of the control API needs.

From the standard library alone: pywin32 takes longer to load than all the rest of a command.
"""

import _winapi
import sys
import time
from types import TracebackType
from typing import Self

assert sys.platform == "win32"

_IDENTIFY = 0x0011_0000
"""SECURITY_SQOS_PRESENT and SECURITY_IDENTIFICATION: who listens may see who asks, and can't act in his name."""
_PAUSE = 0.01


class Pipe:
    """An open pipe. TimeoutError after ``timeout`` seconds in which nothing moved, OSError for what else goes wrong."""

    def __init__(self, path: str, timeout: float) -> None:
        self._timeout: float | None = timeout
        self._handle = _opened(path, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; a second time changes nothing."""
        if self._handle:
            _winapi.CloseHandle(self._handle)
            self._handle = 0

    def settimeout(self, timeout: float | None) -> None:
        """Wait so long from now on; None: for ever."""
        self._timeout = timeout

    def sendall(self, data: bytes) -> None:
        """Write ``data``."""
        while data:
            operation, _ = _winapi.WriteFile(self._handle, data, overlapped=True)
            data = data[self._finished(operation) :]

    def recv(self, most: int) -> bytes:
        """Return up to ``most`` bytes as soon as there are some; none at the end."""
        try:
            operation, _ = _winapi.ReadFile(self._handle, most, overlapped=True)
            self._finished(operation)
        except BrokenPipeError:
            return b""
        return bytes(operation.getbuffer() or b"")

    def _finished(self, operation: "_winapi.Overlapped") -> int:
        """Wait for what is under way, and return how many bytes it moved."""
        patience = _winapi.INFINITE if self._timeout is None else round(self._timeout * 1000)
        try:
            late = _winapi.WaitForMultipleObjects([operation.event], False, patience) == _winapi.WAIT_TIMEOUT
        except BaseException:
            operation.cancel()
            raise
        if late:
            operation.cancel()
            raise TimeoutError
        moved, _ = operation.GetOverlappedResult(True)
        return moved


def _opened(path: str, timeout: float) -> int:
    """Open the pipe, as soon as it has an instance that is free."""
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
        time.sleep(_PAUSE)
