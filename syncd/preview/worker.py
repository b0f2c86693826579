"""Runs the worker process that decodes images: ``python -m syncd.preview.worker``.

The worker ends as soon as the daemon closes its end of the socket. The first defence against hostile images is the
limits in :mod:`syncd.preview.picture`, the second is the sandbox: a decoder that an image has taken over can reach only
this image and the socket.
"""

import os
import socket
import threading
from contextlib import suppress
from queue import SimpleQueue

from syncd.preview import system
from syncd.preview.picture import load, render
from syncd.preview.protocol import ANSWER, GREETING, REQUEST, NoPreviewError


def main() -> None:
    """Answer the requests, one at a time, until the daemon closes the socket."""
    load()
    channel, layers = system.begin()
    greeting = " ".join(layers).encode()
    channel.sendall(GREETING.pack(len(greeting)) + greeting)
    requests: SimpleQueue[tuple[bytes, int]] = SimpleQueue()
    threading.Thread(target=_listen, args=(channel, requests), daemon=True).start()
    while True:
        request, descriptor = requests.get()
        (edge,) = REQUEST.unpack(request)
        channel.sendall(_answer(edge, descriptor))


def _listen(channel: socket.socket, requests: "SimpleQueue[tuple[bytes, int]]") -> None:
    """Queue requests. When the daemon closes the socket, end the process at once."""
    with suppress(OSError):
        while (got := system.receive(channel, REQUEST.size)) is not None:
            requests.put(got)
    os._exit(0)


def _answer(edge: int, descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        try:
            body = render(file, edge)
        except NoPreviewError as reason:
            body = str(reason).encode()
            return ANSWER.pack(False, len(body)) + body
    return ANSWER.pack(True, len(body)) + body


if __name__ == "__main__":
    main()
