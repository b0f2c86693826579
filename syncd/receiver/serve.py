"""Running a receiver: bind, say where, answer until told to stop."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from syncd.receiver.app import make_app
from syncd.receiver.settings import Settings

log = structlog.get_logger()

_http_log = logging.getLogger("syncd.receiver.http")
_http_log.addFilter(lambda record: not isinstance((record.exc_info or (None, None))[1], HttpProcessingError))
"""Says nothing of a broken request: the sender is told, and whoever can connect could fill the log with it."""

_SHUTDOWN_TIMEOUT = 5.0  # for the requests under way, seconds
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _TurnAway(asyncio.Protocol):
    """Answers a connection over the limit without reading from it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writable = cast("asyncio.Transport", transport)
        writable.write(_TOO_MANY)
        writable.close()


async def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve until `stop` is set; call `ready` with the URL once requests are taken (port 0: any free port).

    Raises ReceiverBusy when another receiver has the folder, and OSError when the folder can't be used or
    the address can't be bound.
    """
    runner = web.AppRunner(
        make_app(settings, host=host, clock=clock),
        access_log=None,
        logger=_http_log,
        auto_decompress=False,  # a small body must not become a large one
        keepalive_timeout=settings.keep_alive,
        lingering_time=settings.linger,
        shutdown_timeout=_SHUTDOWN_TIMEOUT,
    )
    try:
        await runner.setup()
        listener = await asyncio.get_running_loop().create_server(
            _bounded(runner, settings.max_connections), host, port, backlog=1024
        )
        try:
            _give_up_on_readers_that_rest(listener, settings.idle_timeout)
            bound = listener.sockets[0].getsockname()
            url = str(URL.build(scheme="http", host=bound[0], port=bound[1]))
            log.info("receiver.started", url=url, folder=settings.folder)
            ready(url)
            await stop.wait()
        finally:
            listener.close()
    finally:
        await runner.cleanup()
    log.info("receiver.stopped", url=url)


def _give_up_on_readers_that_rest(listener: asyncio.Server, timeout: float) -> None:
    """Have the kernel end connections whose other end takes nothing of what is sent to it, where it can do that."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        for listening in listener.sockets:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout * 1000))


def _bounded(runner: web.AppRunner, limit: int) -> Callable[[], asyncio.BaseProtocol]:
    server = runner.server
    assert server is not None

    def protocol() -> asyncio.BaseProtocol:
        if len(server.connections) >= limit:
            return _TurnAway()
        return server()

    return protocol
