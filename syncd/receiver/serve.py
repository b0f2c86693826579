"""Runs a receiver on a TCP port, for ``syncd serve`` and ``syncd demo``."""

import asyncio
import ssl
import time
from collections.abc import Callable

import structlog
from aiohttp import web
from yarl import URL

from syncd.http_server import http_logger, limit_connections, limit_unread_time
from syncd.receiver.app import make_app
from syncd.receiver.errors import TlsFilesError
from syncd.receiver.settings import Settings

log = structlog.get_logger()

_SHUTDOWN_TIMEOUT_SECONDS = 5.0
"""The time limit for the requests in progress to end."""


async def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve until `stop` is set; call `ready` with the URL once it accepts requests.

    Port 0 is any free port. With `tls`, the server accepts HTTPS only. Raises FolderInUseError if another receiver uses
    the folder, and OSError if the folder is not usable or the address cannot be bound.
    """
    runner = web.AppRunner(
        make_app(settings, host=host, clock=clock),
        access_log=None,
        logger=http_logger("syncd.receiver.http"),
        auto_decompress=False,  # a small body must not become a large one
        keepalive_timeout=settings.keep_alive,
        lingering_time=settings.linger,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_SECONDS,
    )
    try:
        await runner.setup()
        assert runner.server is not None
        make_protocol = limit_connections(runner.server, settings.max_connections, runner.server)
        handshake = None if tls is None else settings.idle_timeout
        listener = await asyncio.get_running_loop().create_server(
            make_protocol, host, port, backlog=1024, ssl=tls, ssl_handshake_timeout=handshake
        )
        try:
            for listening in listener.sockets:
                limit_unread_time(listening, settings.idle_timeout)
            bound = listener.sockets[0].getsockname()
            url = str(URL.build(scheme="https" if tls else "http", host=bound[0], port=bound[1]))
            log.info("receiver.started", url=url, folder=settings.folder)
            ready(url)
            await stop.wait()
        finally:
            listener.close()
    finally:
        await runner.cleanup()
    log.info("receiver.stopped", url=url)


def load_tls(certificate: str, key: str) -> ssl.SSLContext:
    """Return the TLS settings of a server.

    They come from its certificate chain and key in PEM format. Raises TlsFilesError if a file cannot be read or the key
    is not the certificate's.
    """
    for path in (certificate, key):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise TlsFilesError(f"{path}: {error.strerror}") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except (ssl.SSLError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        raise TlsFilesError(f"{certificate} and {key}: {reason.lower().replace('_', ' ')}") from None
    return context


def _refuse_passphrase() -> str:
    """Raise ValueError: OpenSSL would ask on the terminal."""
    raise ValueError("the key has a passphrase")
