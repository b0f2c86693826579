"""Protects an aiohttp server on TCP against too many connections and slow clients.

The dashboard and the receiver use these functions.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_SERVICE_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


def http_logger(name: str) -> logging.Logger:
    """Return the logger ``name``, which drops records about malformed requests.

    A client could fill the log with them.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_is_not_malformed_request)
    return logger


def _is_not_malformed_request(record: logging.LogRecord) -> bool:
    return not isinstance((record.exc_info or (None, None))[1], HttpProcessingError)


def limit_connections(
    server: web.Server, limit: int, make_connection: Callable[[], asyncio.BaseProtocol]
) -> Callable[[], asyncio.BaseProtocol]:
    """Return a protocol factory that answers 503 while ``server`` has ``limit`` connections."""

    def make_protocol() -> asyncio.BaseProtocol:
        return _RejectedConnection() if len(server.connections) >= limit else make_connection()

    return make_protocol


def limit_unread_time(listener: socket.socket, seconds: float) -> None:
    """Close accepted connections whose client reads nothing for ``seconds``.

    The kernel does this where it has TCP_USER_TIMEOUT; elsewhere the call has no effect.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


class _RejectedConnection(asyncio.Protocol):
    """Answers 503 and closes the connection, without reading from it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writable = cast("asyncio.Transport", transport)
        writable.write(_SERVICE_UNAVAILABLE)
        writable.close()
