"""Talking HTTP: with :mod:`syncd.remotes.exceptions`, the only module of the room that knows aiohttp.

Beyond it there are answers (:mod:`syncd.remotes.responses`) and the failures of :mod:`syncd.core.errors`, nothing else.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import SimpleNamespace
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from syncd.config.remotes import Remote as Settings
from syncd.core.errors import CutOff, Failure, Permanent, Scope, Transient
from syncd.core.redact import Redactor
from syncd.remotes import proxy, tls
from syncd.remotes.base import Throttle
from syncd.remotes.bodies import Body
from syncd.remotes.exceptions import FOREIGN, refused_certificate, translate
from syncd.remotes.idle_timeout import Stall
from syncd.remotes.responses import Answer, failure

LONGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are kept; more is not read."""
MOST_REDIRECTS = 5
CONNECT_TIMEOUT = 20.0
"""Seconds that one address of a server has to accept a connection."""
CUT_OFF_AFTER = 3.0
"""Seconds; a request with a body that is lost later than this may have been cut off by a limit of the server's."""
KEEPALIVE = 4.0
"""Seconds that an idle connection is kept: some servers close theirs after 5."""
UNSENT = 128 * 1024
"""Bytes that the kernel may hold unsent; more would hide from the stall timer that nothing moves."""
_REUSE_TRIES = 3
_CLOSING_TIME = 0.5
"""Seconds in which one hears, on all but the farthest lines, that the server had closed a connection before.

Later it is a failure like any other, and the server may be away by then: the scheduler has to know."""


_CLOSING = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)
"""What a request meets on a connection that the server has just closed."""


class Sink(Protocol):
    """Where the body of a download goes. Either method says False to have no more of it."""

    def expect(self, length: int | None) -> bool:
        """Take note of the length in bytes that the server announces, if it does."""

    def write(self, data: bytes) -> bool:
        """Take the next bytes."""


class Glance:
    """A sink that wants to know of a download, and to have none of it. ``length`` is what the server announced."""

    def __init__(self) -> None:
        self.length: int | None = None

    def expect(self, length: int | None) -> bool:
        """Take note of the length in bytes, if the server tells it."""
        self.length = length
        return False

    def write(self, data: bytes) -> bool:  # noqa: ARG002 - none is wanted
        """Have no more."""
        return False


class _ConnectionWasClosing(Exception):  # noqa: N818 - it says what is wrong, not that something is
    """A kept-alive connection ended as the request met it; the server has not answered any of it."""


class _Payload(aiohttp.Payload):
    """A :class:`Body` as aiohttp sends it: paced by the throttle, with the stall timer counting only the network."""

    def __init__(self, body: Body, stall: Stall, throttle: Throttle) -> None:
        super().__init__(body, content_type=body.content_type)
        self._size = body.size
        self._body = body
        self._stall = stall
        self._throttle = throttle
        self.failure: Failure | None = None
        self.sent = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        try:
            async with aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    self._stall.moved()
                    await writer.write(piece)
                    await writer.drain()
                    self._stall.paused()
            self.sent = True
        except Failure as failure:  # aiohttp would bury it under an exception of its own
            self.failure = failure
            raise
        finally:
            self._stall.moved()

    async def _pieces(self) -> AsyncGenerator[memoryview]:
        self._stall.paused()
        async for piece in self._body.pieces():
            await self._throttle.acquire(len(piece))
            yield piece

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp asks for it
        raise TypeError("a body is sent, not shown")


class Http:
    """All requests to one remote. Its connections are made when they are needed.

    ``clock`` gives seconds since the epoch; no message shows a secret of ``settings``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        throttle: Throttle,
        clock: Callable[[], float],
        user_agent: str,
    ) -> None:
        self._settings = settings
        self._base = URL(settings.url)
        self._throttle = throttle
        self._clock = clock
        self._open: aiohttp.ClientSession | None = None
        self._plain_headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._secret_headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        if settings.token is not None:
            self._secret_headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        self._mask = Redactor(settings.secrets())

    async def get(self, path: str, *, accept: str = "application/json", sink: Sink | None = None) -> Answer:
        """Ask for ``path`` (quoted, below the remote's url).

        The body of a 200 goes to ``sink``, where there is one; only then redirects are followed: a stored file may be
        elsewhere, but an API that is has moved.
        """
        url = self._url(path)
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._ask("GET", url, accept=accept, sink=sink)
            if sink is None or answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            url = proxy.follow(url, answer)
        raise Permanent(f"{answer.host} answered GET {path} with more than {MOST_REDIRECTS} redirects")

    async def post(self, path: str, body: Body | None = None) -> Answer:
        """Send ``body`` to ``path`` (quoted, below the remote's url). Redirects are answers like any other."""
        return await self._ask("POST", self._url(path), body=body)

    def failure(self, answer: Answer) -> Failure:
        """Say what an answer that is not the wanted one means; a server that names a new address has moved for all."""
        found = failure(answer, now=self._clock())
        if answer.status in (301, 308) and "location" in answer.headers:
            return Transient(found.problem, advice=found.advice, scope=Scope.REMOTE)
        return found

    async def close(self) -> None:
        """Let go of all connections."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    def _url(self, path: str) -> URL:
        return URL(f"{self._settings.url}{path}")

    async def _ask(
        self,
        method: str,
        url: URL,
        *,
        body: Body | None = None,
        accept: str = "application/json",
        sink: Sink | None = None,
    ) -> Answer:
        """Every call of both services may be repeated, so a request that met a closing connection is."""
        headers = {**self._plain_headers, "Accept": accept}
        if url.origin() == self._base.origin():
            headers |= self._secret_headers
        for last in (False,) * (_REUSE_TRIES - 1) + (True,):
            try:
                return await self._once(method, url, body, headers, sink, may_repeat=not last)
            except _ConnectionWasClosing:
                continue
        raise AssertionError  # the last try never says so

    async def _once(
        self,
        method: str,
        url: URL,
        body: Body | None,
        headers: Mapping[str, str],
        sink: Sink | None,
        *,
        may_repeat: bool,
    ) -> Answer:
        session = self._session()
        stall = Stall(self._settings.timeout)
        payload = _Payload(body, stall, self._throttle) if body is not None else None
        trace = SimpleNamespace(reused=False, answered=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with stall:
                response = await session.request(
                    method,
                    url,
                    data=payload,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._proxy(url),
                    trace_request_ctx=trace,
                )
                trace.answered = True
                early = payload is not None and not payload.sent
                try:
                    answer = await self._read(response, f"{method} {url.raw_path}", stall, sink)
                    return replace(answer, early=early)
                finally:
                    response.close()
        except FOREIGN as error:
            if payload is not None and payload.failure is not None:
                raise payload.failure from None
            lasted = loop.time() - began
            unheard = trace.reused and not trace.answered and lasted < _CLOSING_TIME
            if may_repeat and unheard and isinstance(error, _CLOSING):
                raise _ConnectionWasClosing from None
            if not trace.answered and isinstance(error, _CLOSING) and await self._refuses_certificate(url):
                raise refused_certificate(url.host_port_subcomponent or "") from None
            trouble = translate(error, host=url.host_port_subcomponent or "", timeout=self._settings.timeout)
            if payload is not None and trouble.scope is Scope.JOB and lasted >= CUT_OFF_AFTER:
                raise CutOff(trouble.problem, advice=trouble.advice) from None
            raise trouble from None

    async def _refuses_certificate(self, url: URL) -> bool:
        """Say whether the server takes no connection with our certificate, whatever is asked.

        It tells why by an alert, which gets lost where the request crosses it: then the connection is just reset.
        """
        if self._settings.client_cert is None or url.scheme != "https":
            return False
        try:
            async with (
                Stall(self._settings.timeout),
                self._session().head(
                    url.origin(),
                    headers={**self._plain_headers, "Connection": "close"},
                    allow_redirects=False,
                    proxy=self._proxy(url),
                    trace_request_ctx=SimpleNamespace(reused=False),
                ),
            ):
                return False
        except _CLOSING:
            return True
        except FOREIGN:
            return False

    async def _read(self, response: aiohttp.ClientResponse, call: str, stall: Stall, sink: Sink | None) -> Answer:
        """Read an answer. Only a download may take its time; all else is short, and whole within one time-out."""
        body = bytearray()
        wanted = True
        if sink is not None and response.status == 200:
            whole = response.content_length if "Content-Encoding" not in response.headers else None
            wanted = sink.expect(whole)
        while wanted and (data := await response.content.readany()):
            if sink is not None and response.status == 200:
                stall.moved()
                wanted = sink.write(data)
            else:
                body += data[: LONGEST_ANSWER - len(body)]
                wanted = len(body) < LONGEST_ANSWER
        return Answer(
            host=response.url.host_port_subcomponent or "",
            call=self._mask(call),  # a redirect may have brought a secret into the path
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
            mask=self._mask,
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # how many requests there may be is the scheduler's to say
                keepalive_timeout=KEEPALIVE,
                ssl=tls.context(self._settings) if self._base.scheme == "https" else True,
                socket_factory=_socket,
            )
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_reuse)
            connect = min(CONNECT_TIMEOUT, self._settings.timeout)
            self._open = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),
                trace_configs=[trace],
            )
            # It would ask everything twice that a server swallows; what may be repeated is judged above.
            self._open._retry_connection = False  # noqa: SLF001 - aiohttp has no other way to say so
        return self._open

    def _proxy(self, url: URL) -> str | None:
        if self._settings.proxy is not None:
            return self._settings.proxy.get_secret_value()
        return proxy.environment_proxy(url)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return made


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True
