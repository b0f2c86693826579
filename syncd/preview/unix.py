"""The worker on Unix: an open file goes to it over the socket, and the limits are those of the process itself."""

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from syncd.preview.protocol import MEMORY, SECONDS

assert sys.platform != "win32"

EXHAUSTED = -signal.SIGXCPU
"""The code of a worker that has computed for too long."""


class Process:
    """The worker, from the daemon's side."""

    def __init__(self, arguments: Sequence[str], channel: socket.socket, environment: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *arguments, str(channel.fileno())],
            pass_fds=(channel.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # One heap, however many threads a decoder starts: each would take its share of the address space.
            env={**environment, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )
        self.pid = self._popen.pid

    def send(self, channel: socket.socket, request: bytes, descriptor: int) -> None:
        """Send a request, and an open file with it."""
        socket.send_fds(channel, [request], [descriptor])

    def end(self) -> int:
        """End it and return its code; blocks for as long as the kernel needs to clear it away."""
        self._popen.kill()
        return self._popen.wait()


def begin() -> socket.socket:
    """Limit this process, the worker, and return its end of the channel."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    return socket.socket(fileno=int(sys.argv[1]))


def receive(channel: socket.socket, length: int) -> tuple[bytes, int] | None:
    """Return a request and its open file; None if there will be none any more."""
    data, descriptors, _, _ = socket.recv_fds(channel, length, 1)
    if len(data) < length or not descriptors:
        return None
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + SECONDS)
    return data, descriptors[0]


def _limit(kind: int, most: int) -> None:
    """Set a soft limit; where a sandbox forbids that, those on pixels and time have to do."""
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
