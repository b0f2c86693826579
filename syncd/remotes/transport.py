"""Adapts aiohttp to one remote: the connection pool, and the sending of request bodies.

A body is sent within the bandwidth limit and under an idle timeout. :mod:`syncd.remotes.http` uses this module; only
these two and :mod:`syncd.remotes.exceptions` use aiohttp.
"""

import socket
from contextlib import aclosing
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from syncd.core.errors import Failure
from syncd.platform.sockets import limit_unsent_bytes
from syncd.remotes.base import Throttle
from syncd.remotes.bodies import Body
from syncd.remotes.idle_timeout import IdleTimeout

CONNECT_TIMEOUT_SECONDS = 20.0
"""Maximum time for a connection attempt to one address of a server."""
KEEPALIVE_SECONDS = 4.0
"""Time after which an idle connection is closed. Some servers close theirs after 5 seconds."""
MAX_UNSENT_BYTES = 128 * 1024
"""Unsent bytes that the kernel may buffer. A larger buffer would hide a stalled connection from the idle timeout."""


def open_session(*, timeout: float) -> aiohttp.ClientSession:
    """Return a connection pool.

    Its size has no limit; the caller limits the number of requests. A connection attempt takes at most ``timeout``
    seconds, and at most ``CONNECT_TIMEOUT_SECONDS``. A request's ``trace_request_ctx`` gets ``reused`` set to True if
    the request uses a kept-alive connection.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEPALIVE_SECONDS,
        socket_factory=_create_socket,
    )
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_record_reuse)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_SECONDS, timeout)),
        trace_configs=[trace],
    )
    # aiohttp would repeat each request on a closed connection. Http decides which requests may be repeated.
    session._retry_connection = False  # noqa: SLF001 - aiohttp has no public setting for this
    return session


def _create_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    limit_unsent_bytes(made, MAX_UNSENT_BYTES)
    return made


async def _record_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


class Payload(aiohttp.Payload):
    """Adapts a :class:`Body` to aiohttp.

    Time spent waiting for the throttle or for the file does not count towards the idle timeout.
    """

    def __init__(self, body: Body, idle_timeout: IdleTimeout, throttle: Throttle) -> None:
        super().__init__(body, content_type=body.content_type)
        self._size = body.size
        self._body = body
        self._idle_timeout = idle_timeout
        self._throttle = throttle
        self.failure: Failure | None = None
        """The failure of the file from which the body is read. aiohttp would replace it with its own exception."""
        self.sent = False
        """True once the whole body has been sent."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the whole body."""
        if (transport := getattr(writer, "transport", None)) is not None:
            self._idle_timeout.watch(transport.get_write_buffer_size)
        self._idle_timeout.pause()
        try:
            async with aclosing(self._body.blocks()) as blocks:
                async for block in blocks:
                    await self._write_block(block, writer)
            self.sent = True
        except Failure as failure:
            self.failure = failure
            raise
        finally:
            self._idle_timeout.restart()

    async def _write_block(self, block: bytes, writer: AbstractStreamWriter) -> None:
        view, start = memoryview(block), 0
        while start < len(view):
            piece = view[start : start + self._throttle.piece_bytes]
            start += len(piece)
            await self._throttle.acquire(len(piece))
            self._idle_timeout.restart()
            await writer.write(piece)
            await writer.drain()
            self._idle_timeout.pause()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp's signature
        """Raise TypeError: a body is only sent."""
        raise TypeError("a body cannot be decoded")
