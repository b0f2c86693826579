"""A proxy between daemon and receiver that disturbs connections but never corrupts data.

It delays, cuts, resets and stalls them. It parses just enough HTTP to disturb a request at a chosen point, and records
the requests, so that a test knows when each chunk was sent and whether its response arrived.
"""

import asyncio
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

PIECE = 16 * 1024
LONGEST_DELAY = 0.08
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PART = re.compile(r"/upload/chunk/([^/]+)/(\d+)$")
_IMAGE = re.compile(r"/image/([0-9a-f]{64})/chunks$")
_INDEX = re.compile(rb'\{"id": *(\d+)')
_HASH = re.compile(rb'(?:name="hash"\r\n\r\n|"(?:hash|sha256)": *")([0-9a-f]+)')


class Fault(StrEnum):
    """A fault of a request, or none."""

    PASS = "pass"
    DELAY = "delay"
    CUT_BEFORE = "cut before the request"
    CUT_BODY = "cut in the middle of the body"
    CUT_ANSWER = "cut after the request, before the answer"
    RESET_BODY = "reset in the middle of the body"
    RESET_ANSWER = "reset after the request, before the answer"
    STALL_BODY = "stall in the middle of the body"
    STALL_ANSWER = "stall before the answer"
    BUSY = "503 with Retry-After"


_IN_BODY = (Fault.CUT_BODY, Fault.RESET_BODY, Fault.STALL_BODY)
_BEFORE_ANSWER = (Fault.CUT_ANSWER, Fault.RESET_ANSWER, Fault.STALL_ANSWER)
_RESETS = (Fault.RESET_BODY, Fault.RESET_ANSWER)
UNRELIABLE_NETWORK = {
    Fault.DELAY: 0.1,
    **dict.fromkeys((Fault.CUT_BEFORE, Fault.CUT_BODY, Fault.CUT_ANSWER, Fault.RESET_BODY, Fault.RESET_ANSWER), 0.006),
    **dict.fromkeys((Fault.STALL_BODY, Fault.STALL_ANSWER), 0.002),
}
"""Of a hundred requests, ten are delayed and three or four fail."""


@dataclass(kw_only=True, slots=True)
class ProxiedRequest:
    """A request that reached the proxy. ``at`` and ``answered_at`` are monotonic."""

    at: float
    call: str
    fault: Fault
    chunk: tuple[str, int] | None = None
    """Task id, or an image's digest, and the chunk's index."""
    content: str | None = None
    """For *create*, *direct* and *register*: the key of the content, as in the daemon's store."""
    status: int | None = None
    answered_at: float | None = None
    """When the complete response was forwarded to the client."""


class _Broken(Exception):  # noqa: N818 - not an error
    """A fault closes the connection, with a TCP reset if ``reset``."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Proxy:
    """A thread that forwards to ``target`` on 127.0.0.1; ``seed`` determines the faults.

    ``odds`` maps a fault to its probability, and can change at any time. ``rate`` is in bytes a second for each
    connection.
    """

    def __init__(self, target, *, seed=0, odds=None, rate=None, stall=5.0, retry_after=2):
        self.target = target
        self.odds = dict(odds or {})
        self.rate = rate
        self.stall = stall
        self.retry_after = retry_after
        self.requests = []
        self.connections = []
        self.at_once = 0
        self._rng = random.Random(seed)
        self._ready = threading.Event()
        self._tasks = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def hang_up(self):
        """Close all connections, including idle ones."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])

    def injected(self):
        """Return the number of requests with each fault."""
        return Counter(str(one.fault) for one in list(self.requests))

    def chunks(self):
        return [one for one in list(self.requests) if one.chunk]

    def _run(self):
        with asyncio.Runner() as runner:
            runner.run(self._listen())

    async def _listen(self):
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, sock=self._listening)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader, writer):
        self._tasks.add(task := asyncio.current_task())
        self.connections.append(time.monotonic())
        self.at_once = max(self.at_once, len(self._tasks))
        connection = _Connection(self, reader, writer)
        try:
            await connection.run()
        except (_Broken, OSError, EOFError, asyncio.CancelledError) as end:
            connection.close(reset=getattr(end, "reset", False))
        finally:
            connection.close()
            self._tasks.discard(task)

    def draw(self):
        lot = self._rng.random()
        for fault, share in self.odds.items():
            lot -= share
            if lot < 0:
                return fault
        return Fault.PASS

    def uniform(self, most):
        return self._rng.uniform(0, most)


class _Connection:
    """One connection of a client and, from its first request on, one to the server."""

    def __init__(self, proxy, reader, writer):
        self._proxy = proxy
        self._client = (reader, writer)
        self._server = None

    async def run(self):
        reader, writer = self._client
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            fault = self._proxy.draw()
            request = ProxiedRequest(at=time.monotonic(), call=f"{method} {path}", fault=fault)
            if part := _PART.search(path):
                request.chunk = (part[1], int(part[2]))
            self._proxy.requests.append(request)
            if fault is Fault.BUSY:
                await reader.readexactly(_length(head))
                writer.write(BUSY % self._proxy.retry_after)
                await writer.drain()
                return
            if fault is Fault.CUT_BEFORE:
                raise _Broken
            if fault is Fault.DELAY:
                await asyncio.sleep(self._proxy.uniform(LONGEST_DELAY))
            if self._server is None:
                self._server = await asyncio.open_connection("127.0.0.1", self._proxy.target)
            await self._ask(head, request)
            await self._answer(request)

    async def _ask(self, head, request):
        length = _length(head)
        self._server[1].write(head)
        stop = int(self._proxy.uniform(length)) if request.fault in _IN_BODY else length
        await self._body(self._client[0], self._server[1], stop, lambda start: _note(request, start))
        if request.fault in _IN_BODY:
            await self._break(request.fault)

    async def _answer(self, request):
        head = await self._server[0].readuntil(b"\r\n\r\n")
        request.status = int(head.split(b" ", 2)[1])
        if request.fault in _BEFORE_ANSWER:
            await self._break(request.fault)
        self._client[1].write(head)
        await self._body(self._server[0], self._client[1], _length(head))
        await self._client[1].drain()
        request.answered_at = time.monotonic()

    async def _break(self, fault):
        if fault in (Fault.STALL_BODY, Fault.STALL_ANSWER):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._proxy.stall):
                    await self._client[1].wait_closed()
        raise _Broken(reset=fault in _RESETS)

    async def _body(self, reader, writer, length, note=None):
        while length:
            data = await reader.read(min(length, PIECE))
            if not data:
                raise EOFError
            if note:
                note(data)
                note = None
            writer.write(data)
            await writer.drain()
            length -= len(data)
            if self._proxy.rate:
                await asyncio.sleep(len(data) / self._proxy.rate)

    def close(self, *, reset=False):
        for _, writer in filter(None, (self._client, self._server)):
            if reset:
                sock = writer.get_extra_info("socket")
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()


def _length(head):
    assert b"transfer-encoding" not in head.lower()
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def _note(request, start):
    """Set the request's chunk or content from the start of its body."""
    if image := _IMAGE.search(request.call):
        if index := _INDEX.match(start):
            request.chunk = (image[1], int(index[1]))
    elif request.call.endswith(("/create", "/direct", " /image")) and (digest := _HASH.search(start)):
        request.content = digest[1].decode() if request.call.endswith(" /image") else f"sha256:{digest[1].decode()}"
