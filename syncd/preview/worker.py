"""The process that decodes images: started with one end of a socket, and ending with the other.

Run as ``python -m syncd.preview.worker DESCRIPTOR``. Its limits are the second line behind those of
:mod:`syncd.preview.picture`: memory and time that a decoder takes in spite of them, and nothing written anywhere.
"""

import os
import resource
import socket
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

from syncd.preview.picture import render
from syncd.preview.protocol import ANSWER, REQUEST, Unshowable

MEMORY = 1024 * 1024 * 1024
"""Bytes of address space: 128 million pixels of four bytes, and what scales them down."""
SECONDS = 10
"""Of computing for one picture."""


def main() -> None:
    """Answer one request after the other until the daemon is gone."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    channel = socket.socket(fileno=int(sys.argv[1]))
    requests: SimpleQueue[tuple[int, int]] = SimpleQueue()
    threading.Thread(target=_listen, args=(channel, requests), daemon=True).start()
    while True:
        edge, descriptor = requests.get()
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + SECONDS)
        channel.sendall(_answer(edge, descriptor))


def _listen(channel: socket.socket, requests: "SimpleQueue[tuple[int, int]]") -> None:
    """Take requests, and end the process at once when the other side is closed, even in the middle of a picture."""
    with suppress(OSError):
        while True:
            data, descriptors, _, _ = socket.recv_fds(channel, REQUEST.size, 1)
            if len(data) < REQUEST.size or not descriptors:
                break
            requests.put((REQUEST.unpack(data)[0], descriptors[0]))
    os._exit(0)


def _answer(edge: int, descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        try:
            body = render(file, edge)
        except Unshowable as reason:
            body = str(reason).encode()
            return ANSWER.pack(False, len(body)) + body
    return ANSWER.pack(True, len(body)) + body


def _limit(kind: int, most: int) -> None:
    """Set a soft limit; where a sandbox forbids that, those on pixels and time have to do."""
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main()
