"""Starts the worker on Windows, and receives requests in it: the twin of ``unix``.

The daemon duplicates the handle of each file into the worker. A job object limits the worker. The worker inherits no
handle but its standard input, over which it receives its end of the socket after it was added to the job object.
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
from syncd.preview.protocol import CPU_SECONDS, MAX_MEMORY_BYTES

EXHAUSTED = 1816
"""ERROR_NOT_ENOUGH_QUOTA: the exit code of a worker that has used up its CPU time."""
LAYERS = ("limits",)
"""The sandbox layers that Windows supports."""
_HANDLE = struct.Struct(">Q")
"""Follows a request: the handle of the open file in the worker process."""


class Process:
    """The worker process. Used in the daemon."""

    def __init__(self, arguments: Sequence[str], channel: socket.socket, environment: Mapping[str, str]) -> None:
        # python.exe of a virtual environment only starts the base interpreter, which must get the limits and handles.
        interpreter: str = getattr(sys, "_base_executable", sys.executable)
        self._job = job_object.JobObject(alone=True, memory=MAX_MEMORY_BYTES)
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
            with self._popen.stdin as stdin:
                stdin.write(channel.share(self._popen.pid))
        except BaseException:
            self._job.close()
            raise
        self.pid = self._popen.pid

    def send(self, channel: socket.socket, request: bytes, descriptor: int) -> None:
        """Send a request together with an open file."""
        number = _winapi.DuplicateHandle(
            _winapi.GetCurrentProcess(),
            msvcrt.get_osfhandle(descriptor),
            int(self._popen._handle),  # type: ignore[attr-defined] # noqa: SLF001 - Popen has no public attribute
            0,
            False,
            _winapi.DUPLICATE_SAME_ACCESS,
        )
        self._job.limit_cpu_time(self._popen, CPU_SECONDS)
        channel.send(request + _HANDLE.pack(number))

    def end(self) -> int:
        """Kill the process, block until the kernel has removed it, and return its exit code."""
        self._popen.kill()
        code = self._popen.wait()
        self._job.close()
        return code


def begin() -> tuple[socket.socket, tuple[str, ...]]:
    """Return the worker's end of the socket, and :data:`LAYERS`.

    They are always in force: without the job object, the daemon starts no worker.
    """
    return socket.fromshare(sys.stdin.buffer.read()), LAYERS


def receive(channel: socket.socket, length: int) -> tuple[bytes, int] | None:
    """Return the next request and its open file; None after the daemon closed the socket."""
    data = channel.recv(length + _HANDLE.size, socket.MSG_WAITALL)
    if len(data) < length + _HANDLE.size:
        return None
    (number,) = _HANDLE.unpack(data[length:])
    return data[:length], msvcrt.open_osfhandle(number, os.O_RDONLY | os.O_BINARY)
