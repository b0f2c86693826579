"""Serves the control API, the page and the login on loopback TCP.

If it cannot listen, it logs the reason, and the daemon continues to upload.
"""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable
from functools import partial

import structlog
from aiohttp import web

from syncd.control import connection
from syncd.control.app import make_app
from syncd.control.service import ControlService, NotFoundError
from syncd.core.text import printable
from syncd.dashboard.auth import Credentials, LoginTickets, load_token
from syncd.dashboard.middleware import HEADERS, add_headers, is_authenticated, make_middleware
from syncd.dashboard.static_files import LOCKED, LOGIN, WELCOME, Page, load_pages, routes
from syncd.http_server import http_logger, limit_connections, limit_unread_time

TOKEN_FILE = "dashboard.token"  # noqa: S105 - a file's name
"""The token's file in the state folder."""
COOKIE_LIFETIME_SECONDS = 30 * 86_400
"""The time that a browser stays logged in."""
IDLE_TIMEOUT_SECONDS = 30.0
"""The time limit for a connection without a request, and for the head of a request."""
MAX_CONNECTIONS = 400
"""The limit for connections: fifty pages with six connections each, and some for scripts."""

log = structlog.get_logger()

_http_log = http_logger("syncd.dashboard.http")


class _Connection(connection.Connection):
    """Adds :data:`HEADERS` to the response to malformed HTTP, which no handler sees."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        answer = super().handle_error(request, status, exc, message)
        answer.headers.update(HEADERS)
        return answer


class DashboardServer:
    """Serves the dashboard from :meth:`start` to :meth:`stop`.

    Port 0 is any free port.
    """

    def __init__(
        self,
        service: ControlService,
        *,
        host: str,
        port: int,
        state_dir: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._host = host
        self._port = port
        self._state_dir = state_dir
        self._tickets = LoginTickets(clock)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._unavailable_reason = "the dashboard has not started yet: try again"
        self.url: str | None = None
        """The address of the dashboard; None if it does not listen."""

    async def start(self) -> None:
        """Listen, or log the reason of the failure."""
        address = netloc(self._host, self._port)
        try:
            token = await asyncio.to_thread(load_token, os.path.join(self._state_dir, TOKEN_FILE))
            listening = bind(self._host, self._port)
        except OSError as error:
            reason = f"{_reason(error)}: {_advice(error)}"
            self._unavailable_reason = f"the dashboard could not listen at {address}: {reason}"
            log.error("dashboard.unavailable", address=address, reason=reason)  # noqa: TRY400 - the reason is complete
            return
        self._port = listening.getsockname()[1]
        await self._serve(listening, Credentials(token, port=self._port))
        self.url = f"http://{netloc(self._host, self._port)}"
        log.info("dashboard.listening", url=self.url)

    async def stop(self) -> None:
        """Stop listening, and send the pending responses."""
        self.url, self._unavailable_reason = None, "the daemon is shutting down"
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def login_url(self) -> str:
        """Return a URL with a new ticket, which logs one browser in.

        Raises :class:`NotFoundError` if the dashboard does not listen.
        """
        if self.url is None:
            raise NotFoundError(self._unavailable_reason)
        return f"{self.url}{LOGIN}?ticket={self._tickets.issue()}"

    async def _serve(self, listening: socket.socket, credentials: Credentials) -> None:
        pages = load_pages()
        names = {netloc(host, self._port) for host in (self._host, "127.0.0.1", "localhost", "::1")}
        app = make_app(self._service, make_middleware(credentials, hosts=names, locked=pages[LOCKED]))
        app.on_response_prepare.append(add_headers)
        app.add_routes([*routes(pages), self._login(credentials, welcome=pages[WELCOME], locked=pages[LOCKED])])
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        assert self._runner.server is not None
        self._server = await asyncio.get_running_loop().create_server(
            _limited_protocol(self._runner.server), sock=listening
        )

    def _login(self, credentials: Credentials, *, welcome: Page, locked: Page) -> web.RouteDef:
        async def login(request: web.Request) -> web.Response:
            """Set the cookie in exchange for a ticket.

            The page in the response opens the dashboard. A redirect would not work: with SameSite=Strict, the browser
            sends no cookie after a link on another site.
            """
            if not self._tickets.redeem(request.query.get("ticket", "")) and not is_authenticated(request, credentials):
                return locked.to_response(status=401)
            answer = welcome.to_response()
            answer.set_cookie(
                credentials.cookie_name,
                credentials.cookie,
                max_age=COOKIE_LIFETIME_SECONDS,
                path="/",
                httponly=True,
                samesite="Strict",
            )
            return answer

        return web.get(LOGIN, login, allow_head=False)


def netloc(host: str, port: int) -> str:
    """Return host and port as in a URL and in ``Host``, which omit port 80."""
    named = f"[{host}]" if ":" in host else host
    return named if port == 80 else f"{named}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=128)
    listening.setblocking(False)
    limit_unread_time(listening, connection.STALL_TIMEOUT_SECONDS)
    return listening


def _reason(error: OSError) -> str:
    """Return the system's message, without the address that asyncio adds."""
    return (error.strerror or str(error)).partition(" (while attempting")[0]


def _advice(error: OSError) -> str:
    if error.filename is not None:
        return f"check {printable(error.filename2 or error.filename)}, then restart the daemon"
    first = "stop the program that uses it, or " if error.errno == errno.EADDRINUSE else ""
    return f"{first}set another address in control.dashboard, then restart the daemon"


def _limited_protocol(server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
    make_connection = partial(
        _Connection,
        server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # it would contain tickets
        auto_decompress=False,
        keepalive_timeout=IDLE_TIMEOUT_SECONDS,
        logger=_http_log,
    )
    return limit_connections(server, MAX_CONNECTIONS, make_connection)
