"""The worker on Unix: an open file goes to it over the socket, and its sandbox is one that it enters by itself."""

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from syncd.preview.protocol import MEMORY, PICTURES, SECONDS

assert sys.platform != "win32"
if sys.platform == "linux":
    from syncd.preview.confine import LAYERS as FURTHER
    from syncd.preview.confine import confine
else:
    FURTHER = {}

EXHAUSTED = -signal.SIGXCPU
"""The code of a worker that has computed for too long."""
LAYERS = ("limits", *FURTHER)
"""Of the sandbox: those that there can be on this system."""
FILES = 16
"""Descriptors: the standard ones, the channel, and the image, which some decoders duplicate."""


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


def begin() -> tuple[socket.socket, tuple[str, ...]]:
    """Confine this process, the worker; return its end of the channel, and those of :data:`LAYERS` in force.

    Whatever it still has to load, it can't from here on.
    """
    channel = socket.socket(fileno=int(sys.argv[1]))
    return channel, (*(("limits",) if _limit() else ()), *(confine() if sys.platform == "linux" else ()))


def receive(channel: socket.socket, length: int) -> tuple[bytes, int] | None:
    """Return a request and its open file; None if there will be none any more.

    The time of computing starts anew, and from the first request on no thread can be started.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, length, 1)
    if len(data) < length or not descriptors:
        return None
    _set(resource.RLIMIT_NPROC, 0)
    _set(resource.RLIMIT_CPU, int(time.process_time()) + SECONDS, resource.RLIM_INFINITY)
    return data, descriptors[0]


def _limit() -> bool:
    """Set every limit that holds from the beginning; return whether all of them are in force."""
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_CPU: int(time.process_time()) + PICTURES * SECONDS,
    }
    return False not in [_set(kind, most) for kind, most in limits.items()]


def _set(kind: int, soft: int, hard: int | None = None) -> bool:
    """Set a limit, a hard one too unless that is given, but raise none; return False where a sandbox forbids that."""
    try:
        lowest = _lower(soft if hard is None else hard, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (_lower(soft, lowest), lowest))
    except (OSError, ValueError):
        return False
    return True


def _lower(one: int, other: int) -> int:
    """Return the lower of two limits."""
    return min((one, other), key=lambda most: float("inf") if most == resource.RLIM_INFINITY else most)
