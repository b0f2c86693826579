"""Sends HTTP requests to one remote.

A request returns a :class:`Response` or raises a failure of :mod:`syncd.core.errors`; no exception of aiohttp passes
this module (:mod:`syncd.remotes.exceptions`). :mod:`syncd.remotes.transport` sets up the connections.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace

import aiohttp
from yarl import URL

from syncd.config.remotes import Remote as Settings
from syncd.core.errors import CutOff, Failure, Permanent, Scope, Transient
from syncd.core.redact import Redactor
from syncd.remotes import proxy, tls
from syncd.remotes.base import Throttle
from syncd.remotes.bodies import Body
from syncd.remotes.downloads import DownloadWriter
from syncd.remotes.exceptions import TRANSPORT_ERRORS, is_tls_error, map_transport_error, refused_certificate
from syncd.remotes.idle_timeout import IdleTimeout
from syncd.remotes.response_failures import failure
from syncd.remotes.responses import Response
from syncd.remotes.transport import Payload, open_session

MAX_RESPONSE_BYTES = 1024 * 1024
"""Maximum bytes of a response body; the rest is discarded."""
MAX_REDIRECTS = 5
"""Redirects that one download may follow."""
CUT_OFF_AFTER_SECONDS = 3.0
"""A request with a body that fails after this time counts as :class:`CutOff` by the server's time limit."""
_MAX_REUSE_ATTEMPTS = 3
"""Attempts of one request on kept-alive connections that turn out to be closed."""
_STALE_CONNECTION_SECONDS = 0.5
"""A kept-alive connection that the server had closed fails within this time, except on very slow networks.

A later failure is reported to the caller, because the server may be down."""

_CONNECTION_CLOSED_ERRORS = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)
"""Errors of a request on a connection that the server has just closed."""


class _StaleConnectionError(Exception):
    """A kept-alive connection was closed as the request was sent; the server sent no response."""


class Http:
    """An HTTP client for one remote. It opens connections on demand.

    ``clock`` returns seconds since the epoch. Secrets of ``settings`` are redacted in all messages.
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
        self._client_session: aiohttp.ClientSession | None = None
        self._tls_context: ssl.SSLContext | None = None
        self._environment_proxies = proxy.EnvironmentProxies()
        self._plain_headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._secret_headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        if settings.token is not None:
            self._secret_headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        self._redact = Redactor(settings.secrets())

    async def get(
        self, path: str, *, accept: str = "application/json", writer: DownloadWriter | None = None
    ) -> Response:
        """Send a GET for ``path`` (quoted, below the remote's url).

        ``writer`` receives the body of a 200. Redirects are followed only with a ``writer``: a stored file may be
        elsewhere, but a redirect of an API call means that the API has moved.
        """
        url = self._url(path)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._request("GET", url, accept=accept, writer=writer)
            if writer is None or response.status not in (301, 302, 303, 307, 308) or "location" not in response.headers:
                return response
            url = redirect_target(url, response)
        raise Permanent(f"{response.host} answered GET {self._redact(path)} with more than {MAX_REDIRECTS} redirects")

    async def post(self, path: str, body: Body | None = None) -> Response:
        """Send a POST for ``path`` (quoted, below the remote's url).

        A redirect is returned, not followed.
        """
        return await self._request("POST", self._url(path), body=body)

    def failure(self, response: Response) -> Failure:
        """Return the failure for an unexpected response.

        A permanent redirect is a failure of the whole remote.
        """
        found = failure(response, now=self._clock())
        if response.status in (301, 308) and "location" in response.headers:
            return Transient(found.problem, advice=found.advice, scope=Scope.REMOTE)
        return found

    async def close(self) -> None:
        """Close all connections."""
        if self._client_session is not None:
            await self._client_session.close()
            self._client_session = self._tls_context = None

    def _url(self, path: str) -> URL:
        return URL(f"{self._settings.url}{path}")

    async def _request(
        self,
        method: str,
        url: URL,
        *,
        body: Body | None = None,
        accept: str = "application/json",
        writer: DownloadWriter | None = None,
    ) -> Response:
        """Send a request; repeat it if its connection was stale.

        All calls of both APIs may be repeated.
        """
        headers = {**self._plain_headers, "Accept": accept}
        if url.origin() == self._base.origin():
            headers |= self._secret_headers
        for last in (False,) * (_MAX_REUSE_ATTEMPTS - 1) + (True,):
            try:
                return await self._request_once(method, url, body, headers, writer, may_repeat=not last)
            except _StaleConnectionError:
                continue
        raise AssertionError  # the last attempt never raises _StaleConnectionError

    async def _request_once(
        self,
        method: str,
        url: URL,
        body: Body | None,
        headers: Mapping[str, str],
        writer: DownloadWriter | None,
        *,
        may_repeat: bool,
    ) -> Response:
        session = self._session()
        proxy_url = self._proxy(url)
        context = self._tls(url, proxy_url)
        idle_timeout = IdleTimeout(self._settings.timeout)
        payload = Payload(body, idle_timeout, self._throttle) if body is not None else None
        trace = SimpleNamespace(reused=False, answered=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with idle_timeout:
                raw = await session.request(
                    method,
                    url,
                    data=payload,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy_url,
                    ssl=context,
                    trace_request_ctx=trace,
                )
                trace.answered = True
                before_body_sent = payload is not None and not payload.sent
                try:
                    response = await self._read(raw, f"{method} {url.raw_path}", idle_timeout, writer)
                    return replace(response, before_body_sent=before_body_sent)
                finally:
                    raw.close()
        except TRANSPORT_ERRORS as error:
            if payload is not None and payload.failure is not None:
                raise payload.failure from None
            lasted = loop.time() - began
            stale = trace.reused and not trace.answered and lasted < _STALE_CONNECTION_SECONDS
            if may_repeat and stale and isinstance(error, _CONNECTION_CLOSED_ERRORS):
                raise _StaleConnectionError from None
            shown: BaseException = error
            closed = not trace.answered and isinstance(error, _CONNECTION_CLOSED_ERRORS)
            if closed and url.scheme == "https" and not is_tls_error(error):
                again = await self._error_without_body(url)
                if again is not None and is_tls_error(again):
                    shown = again
                elif self._settings.client_cert is not None and isinstance(again, _CONNECTION_CLOSED_ERRORS):
                    raise refused_certificate(self._host(url)) from None
            mapped = map_transport_error(
                shown, host=self._host(url), timeout=self._settings.timeout, redact=self._redact
            )
            if payload is not None and mapped.scope is Scope.JOB and lasted >= CUT_OFF_AFTER_SECONDS:
                raise CutOff(mapped.problem, advice=mapped.advice) from None
            raise mapped from None

    def _host(self, url: URL) -> str:
        """Return host and port for messages, without secrets.

        ``url`` may be the target of a redirect, and its host may contain a secret.
        """
        return self._redact(url.host_port_subcomponent or "")

    async def _error_without_body(self, url: URL) -> BaseException | None:
        """Send a request without a body; return its error, or None.

        A server that rejects the client certificate sends a TLS alert. If the alert arrives before or while the client
        is sending, the client sees only a lost connection.
        """
        proxy_url = self._proxy(url)
        try:
            async with (
                IdleTimeout(self._settings.timeout),
                self._session().head(
                    url.origin(),
                    headers={**self._plain_headers, "Connection": "close"},
                    allow_redirects=False,
                    proxy=proxy_url,
                    ssl=self._tls(url, proxy_url),
                    trace_request_ctx=SimpleNamespace(reused=False),
                ),
            ):
                return None
        except TRANSPORT_ERRORS as error:
            return error

    async def _read(
        self, raw: aiohttp.ClientResponse, request_line: str, idle_timeout: IdleTimeout, writer: DownloadWriter | None
    ) -> Response:
        """Read a response.

        Data of a download restarts the idle timeout. Any other body must arrive within one timeout.
        """
        body = bytearray()
        more_wanted = True
        if writer is not None and raw.status == 200:
            length = raw.content_length if "Content-Encoding" not in raw.headers else None
            more_wanted = writer.expect(length)
        while more_wanted and (data := await raw.content.readany()):
            if writer is not None and raw.status == 200:
                idle_timeout.restart()
                more_wanted = writer.write(data)
            else:
                body += data[: MAX_RESPONSE_BYTES - len(body)]
                more_wanted = len(body) < MAX_RESPONSE_BYTES
        return Response(
            host=self._host(raw.url),
            request_line=self._redact(request_line),
            status=raw.status,
            headers={name.lower(): value for name, value in raw.headers.items()},
            body=bytes(body),
            redact=self._redact,
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._client_session is None:
            self._client_session = open_session(timeout=self._settings.timeout)
        return self._client_session

    def _tls(self, url: URL, proxy_url: str | None) -> ssl.SSLContext | bool:
        """Return the TLS context of a request; True if the request needs none.

        aiohttp's own context is never used: it may trust no server (:mod:`syncd.cli.imports`). If ``url`` of the remote
        is http, the files of the configuration are for that server only, and a redirect or proxy to https gets a
        default context.
        """
        if self._tls_context is None and (url.scheme == "https" or proxy_url is not None):
            secure = self._base.scheme == "https"
            self._tls_context = tls.context(self._settings) if secure else ssl.create_default_context()
        return self._tls_context or True

    def _proxy(self, url: URL) -> str | None:
        if self._settings.proxy is not None:
            return self._settings.proxy.get_secret_value()
        return self._environment_proxies.get(url)


def redirect_target(url: URL, response: Response) -> URL:
    """Return the target of the redirect ``response`` to a GET of ``url``.

    Raises ``Permanent`` if the redirect must not be followed.
    """
    try:
        target = url.join(URL(response.headers["location"])).with_user(None)
        host = target.host
    except ValueError:
        host = None
    if not host or target.scheme not in ("http", "https"):
        raise Permanent(f"{response.host} answered {response.request_line} with a redirect to an invalid URL")
    if (url.scheme, target.scheme) == ("https", "http"):
        raise Permanent(
            f"{response.host} answered {response.request_line} with a redirect to http, which is not secure"
        )
    return target
