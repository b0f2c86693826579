"""Sends requests to a dead man's switch.

The switch raises an alarm when the requests stop. The protocol is that of healthchecks.io: a GET of the address means
that all is well, and one of its path with `/fail` added reports a problem.
"""

import asyncio
import ssl
from dataclasses import dataclass

import aiohttp
import structlog
from pydantic import SecretStr
from yarl import URL

from syncd.asyncio_tools import wait_for_event
from syncd.notify.delivery import DeliveryError
from syncd.remotes.exceptions import TRANSPORT_ERRORS, map_transport_error
from syncd.remotes.proxy import environment_proxy

log = structlog.get_logger()

_TIMEOUT_SECONDS = 30.0
_RETRY_SECONDS = 60.0
"""The longest wait after a request that failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ping:
    """The address of a dead man's switch."""

    url: SecretStr

    @property
    def name(self) -> str:
        """The name for logs; the address itself is a secret."""
        return "ping"

    async def send(self, *, well: bool) -> None:
        """Report whether all is well; raise DeliveryError."""
        url = URL(self.url.get_secret_value())
        if not well:
            url = url.with_path(f"{url.raw_path.rstrip('/')}/fail", encoded=True, keep_query=True)
        host = url.host or ""
        try:
            status = await _get(url)
        except TRANSPORT_ERRORS as error:
            failure = map_transport_error(error, host=host, timeout=_TIMEOUT_SECONDS)
            raise DeliveryError(failure.problem) from None
        if status >= 400:
            raise DeliveryError(f"{host} answered {status}")


async def _get(url: URL) -> int:
    """Return the status of the answer."""
    # aiohttp's own context trusts no server: syncd.cli.imports.skipped_parts.
    tls = await asyncio.to_thread(ssl.create_default_context) if url.scheme == "https" else True
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, ssl=tls, proxy=environment_proxy(url)) as answer,
    ):
        return answer.status


class Pinger:
    """Sends the state of the daemon every ``every`` seconds, and each change at once.

    Without a new :meth:`update`, no request follows: the alarm is raised if the daemon no longer learns its own state.
    """

    def __init__(self, ping: Ping, every: float) -> None:
        self.ping = ping
        self.every = every
        self._well = True
        self._sent: bool | None = None
        self._updated = asyncio.Event()
        self._changed = asyncio.Event()

    def update(self, *, well: bool) -> None:
        """Record whether all is well."""
        self._well = well
        self._updated.set()
        if well is not self._sent:
            self._changed.set()

    async def run(self) -> None:
        """Send requests until cancelled."""
        failing = False
        while True:
            await self._updated.wait()
            self._changed.clear()
            self._sent = self._well
            try:
                await self.ping.send(well=self._well)
            except DeliveryError as error:
                if not failing:
                    log.warning("notify.ping_failed", reason=str(error))
                failing = True
            else:
                failing = False
            await wait_for_event(self._changed, min(self.every, _RETRY_SECONDS) if failing else self.every)
            if not self._changed.is_set():
                self._updated.clear()  # what was true before the wait may not be true now
