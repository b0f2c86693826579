"""The worker on Windows: an open file is duplicated into it, and its sandbox is the limits of the job that it is in.

It inherits nothing at all: its end of the channel comes by its standard input, when it is in its job already.
"""

import _winapi
import msvcrt
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence

from syncd.platform.windows import job_object
from syncd.preview.protocol import MEMORY, SECONDS

assert sys.platform == "win32"

EXHAUSTED = 1816
"""ERROR_NOT_ENOUGH_QUOTA: the code of a worker that has computed for too long."""
LAYERS = ("limits",)
"""Of the sandbox: those that there can be on this system."""
_HANDLE = struct.Struct(">Q")
"""Follows a request: the number that the open file has in the worker."""


class Process:
    """The worker, from the daemon's side."""

    def __init__(self, arguments: Sequence[str], channel: socket.socket, environment: Mapping[str, str]) -> None:
        # That of a virtual environment only starts the other, and would be in its place here.
        interpreter: str = getattr(sys, "_base_executable", sys.executable)
        self._job = job_object.JobObject(alone=True, memory=MEMORY)
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [interpreter, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.path.abspath(os.sep),
                env={**environment, "__PYVENV_LAUNCHER__": sys.executable},
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
            self._job.add(self._popen)
            assert self._popen.stdin
            with self._popen.stdin as way:
                way.write(channel.share(self._popen.pid))
        except BaseException:
            self._job.close()
            raise
        self.pid = self._popen.pid

    def send(self, channel: socket.socket, request: bytes, descriptor: int) -> None:
        """Send a request, and an open file with it."""
        number = _winapi.DuplicateHandle(
            _winapi.GetCurrentProcess(),
            msvcrt.get_osfhandle(descriptor),
            int(self._popen._handle),  # type: ignore[attr-defined] # noqa: SLF001 - what Popen itself works with
            0,
            False,
            _winapi.DUPLICATE_SAME_ACCESS,
        )
        self._job.limit_computing(self._popen, SECONDS)
        channel.send(request + _HANDLE.pack(number))

    def end(self) -> int:
        """End it and return its code; blocks for as long as the kernel needs to clear it away."""
        self._popen.kill()
        code = self._popen.wait()
        self._job.close()
        return code


def begin() -> tuple[socket.socket, tuple[str, ...]]:
    """Return the worker's end of the channel, and :data:`LAYERS`: it does not start without."""
    return socket.fromshare(sys.stdin.buffer.read()), LAYERS


def receive(channel: socket.socket, length: int) -> tuple[bytes, int] | None:
    """Return a request and its open file; None if there will be none any more."""
    data = channel.recv(length + _HANDLE.size, socket.MSG_WAITALL)
    if len(data) < length + _HANDLE.size:
        return None
    (number,) = _HANDLE.unpack(data[length:])
    return data[:length], msvcrt.open_osfhandle(number, os.O_RDONLY | os.O_BINARY)
