"""Starts the worker on Unix, and receives requests in it: the twin of ``windows``.

The daemon sends the descriptor of each file over the socket. The worker applies its sandbox itself;
:mod:`syncd.preview.linux` adds layers.
"""

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from syncd.preview.protocol import CPU_SECONDS, MAX_MEMORY_BYTES, PREVIEWS_PER_WORKER

EXHAUSTED = -signal.SIGXCPU
"""The exit code of a worker that has used up its CPU time."""
LAYERS = ("limits",)
"""The sandbox layers that every Unix supports."""
MAX_DESCRIPTORS = 16
"""The three standard descriptors, the socket, and the image, which some decoders duplicate."""


class Process:
    """The worker process. Used in the daemon."""

    def __init__(self, arguments: Sequence[str], channel: socket.socket, environment: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *arguments, str(channel.fileno())],
            pass_fds=(channel.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # One heap for all threads: a heap for each thread would use up the limited address space.
            env={**environment, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )
        self.pid = self._popen.pid

    def send(self, channel: socket.socket, request: bytes, descriptor: int) -> None:
        """Send a request together with an open file."""
        socket.send_fds(channel, [request], [descriptor])

    def end(self) -> int:
        """Kill the process, block until the kernel has removed it, and return its exit code."""
        self._popen.kill()
        return self._popen.wait()


def begin() -> tuple[socket.socket, tuple[str, ...]]:
    """Apply the sandbox to the worker, which is this process.

    Return the worker's end of the socket and the :data:`LAYERS` in force. Afterwards the process can't open any file,
    so import all modules before.
    """
    channel = socket.socket(fileno=int(sys.argv[1]))
    return channel, LAYERS if _limit() else ()


def receive(channel: socket.socket, length: int) -> tuple[bytes, int] | None:
    """Return the next request and its open file; None after the daemon closed the socket.

    Each request gets a new CPU time limit. From the first request on, the worker can't start threads.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, length, 1)
    if len(data) < length or not descriptors:
        return None
    _set(resource.RLIMIT_NPROC, 0)
    _set(resource.RLIMIT_CPU, int(time.process_time()) + CPU_SECONDS, resource.RLIM_INFINITY)
    return data, descriptors[0]


def _limit() -> bool:
    """Set all limits that apply from the start. Return True if all of them are in force."""
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MAX_DESCRIPTORS,
        resource.RLIMIT_CPU: int(time.process_time()) + PREVIEWS_PER_WORKER * CPU_SECONDS,
    }
    return False not in [_set(kind, most) for kind, most in limits.items()]


def _set(kind: int, soft: int, hard: int | None = None) -> bool:
    """Lower a resource limit, never raise it. ``hard`` defaults to ``soft``.

    Return False if an outer sandbox forbids the change.
    """
    try:
        lowest = _lower(soft if hard is None else hard, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (_lower(soft, lowest), lowest))
    except (OSError, ValueError):
        return False
    return True


def _lower(one: int, other: int) -> int:
    """Return the lower of two limits."""
    return min((one, other), key=lambda most: float("inf") if most == resource.RLIM_INFINITY else most)
