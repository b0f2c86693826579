"""The process that decodes images: started with one end of a socket, and ending with the other.

Run as ``python -m syncd.preview.worker``. Its limits are the second line behind those of :mod:`syncd.preview.picture`:
memory and time that a decoder takes in spite of them, and on Unix nothing written anywhere.
"""

import os
import socket
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue

from syncd.preview.picture import render
from syncd.preview.protocol import ANSWER, REQUEST, Unshowable

if sys.platform == "win32":
    from syncd.preview import windows as system
else:
    from syncd.preview import unix as system


def main() -> None:
    """Answer one request after the other until the daemon is gone."""
    channel = system.begin()
    requests: SimpleQueue[tuple[bytes, int]] = SimpleQueue()
    threading.Thread(target=_listen, args=(channel, requests), daemon=True).start()
    while True:
        request, descriptor = requests.get()
        (edge,) = REQUEST.unpack(request)
        channel.sendall(_answer(edge, descriptor))


def _listen(channel: socket.socket, requests: "SimpleQueue[tuple[bytes, int]]") -> None:
    """Take requests, and end the process at once when the other side is closed, even in the middle of a picture."""
    with suppress(OSError):
        while (got := system.receive(channel, REQUEST.size)) is not None:
            requests.put(got)
    os._exit(0)


def _answer(edge: int, descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        try:
            body = render(file, edge)
        except Unshowable as reason:
            body = str(reason).encode()
            return ANSWER.pack(False, len(body)) + body
    return ANSWER.pack(True, len(body)) + body


if __name__ == "__main__":
    main()
