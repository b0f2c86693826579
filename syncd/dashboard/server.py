"""The listener on loopback TCP: the control API and the page behind their guards, and the way in by a ticket.

That it can't listen is no reason for the daemon to end: it says why, and uploads.
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
"""In the state folder."""
COOKIE_LIFETIME_SECONDS = 30 * 86_400
"""Seconds that a browser stays logged in."""
IDLE_TIMEOUT_SECONDS = 30.0
"""Seconds that a connection may say nothing, or take to say what it wants."""
MAX_CONNECTIONS = 400
"""Connections at a time: fifty pages with the six that a browser opens for each, and some."""

log = structlog.get_logger()

_http_log = http_logger("syncd.dashboard.http")


class _Connection(connection.Connection):
    """A connection whose answer to what is no HTTP, which no handler sees, has the headers of all answers too."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        answer = super().handle_error(request, status, exc, message)
        answer.headers.update(HEADERS)
        return answer


class DashboardServer:
    """Serves the dashboard at ``host`` and ``port`` (0 for any that is free) from :meth:`start` to :meth:`stop`."""

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
        self._unavailable_reason = "the dashboard is not up yet: try again"
        self.url: str | None = None
        """Where it listens; None where it does not."""

    async def start(self) -> None:
        """Listen; where that can't be, log why."""
        place = netloc(self._host, self._port)
        try:
            token = await asyncio.to_thread(load_token, os.path.join(self._state_dir, TOKEN_FILE))
            listening = bind(self._host, self._port)
        except OSError as error:
            reason = f"{_reason(error)}: {_advice(error)}"
            self._unavailable_reason = f"the dashboard could not listen at {place}: {reason}"
            log.error("dashboard.unavailable", address=place, reason=reason)  # noqa: TRY400 - the reason says it all
            return
        self._port = listening.getsockname()[1]
        await self._serve(listening, Credentials(token, port=self._port))
        self.url = f"http://{netloc(self._host, self._port)}"
        log.info("dashboard.listening", url=self.url)

    async def stop(self) -> None:
        """Listen no more, and let the answers in the making go out."""
        self.url, self._unavailable_reason = None, "the daemon is ending"
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def login_url(self) -> str:
        """Return an address that lets one browser in, once and soon. :class:`NotFoundError` says why there is none."""
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
            """Give the cookie for a ticket, with a page that goes on by itself.

            It would not be sent on a redirect: SameSite=Strict means that the whole chain began here.
            """
            if not self._tickets.redeem(request.query.get("ticket", "")) and not is_authenticated(request, credentials):
                return locked.answer(status=401)
            answer = welcome.answer()
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
    """Return the two as they stand in a URL and in ``Host``: without the port where it is HTTP's own."""
    named = f"[{host}]" if ":" in host else host
    return named if port == 80 else f"{named}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; OSError where that can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=128)
    listening.setblocking(False)
    limit_unread_time(listening, connection.STALL_TIMEOUT_SECONDS)
    return listening


def _reason(error: OSError) -> str:
    """Return the system's words, without the address that a listening socket's error has in it."""
    return (error.strerror or str(error)).partition(" (while attempting")[0]


def _advice(error: OSError) -> str:
    if error.filename is not None:
        return f"see to {printable(error.filename2 or error.filename)}, then restart the daemon"
    first = "end the program that has it, or " if error.errno == errno.EADDRINUSE else ""
    return f"{first}set another address in control.dashboard, then restart the daemon"


def _limited_protocol(server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
    make_connection = partial(
        _Connection,
        server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # there are tickets in it
        auto_decompress=False,
        keepalive_timeout=IDLE_TIMEOUT_SECONDS,
        logger=_http_log,
    )
    return limit_connections(server, MAX_CONNECTIONS, make_connection)
