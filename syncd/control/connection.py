"""A connection of the control API that is cut off when the client stops reading.

TCP_USER_TIMEOUT does the same for TCP on Linux; there is nothing of the kind for Unix sockets and named pipes, where an
answer that is never read would hold its memory, its descriptor and a place among the subscribers until the client ends.
"""

import asyncio
from typing import Any

import structlog
from aiohttp import web

STALL_TIMEOUT_SECONDS = 60.0
"""Seconds in which a client has to take something of what waits for it."""

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """A connection that aborts when the client reads nothing for :data:`STALL_TIMEOUT_SECONDS`."""

    __slots__ = ("_check", "_waiting")

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._check: asyncio.TimerHandle | None = None
        self._waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have every byte that the system does not take at once reported by :meth:`pause_writing`."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Watch no more."""
        self._unwatch()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch, as the client does not read as fast as it is written to."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Watch no more, as the client has everything."""
        self._unwatch()
        super().resume_writing()

    def _watch(self) -> None:
        assert self.transport is not None
        self._waiting = self.transport.get_write_buffer_size()
        self._check = self._loop.call_later(STALL_TIMEOUT_SECONDS, self._look)

    def _unwatch(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _look(self) -> None:
        """Cut the connection off unless some of what waits has gone; nothing is added to it meanwhile."""
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() < self._waiting:
            self._watch()
            return
        request = self._current_request
        log.warning("control.dropped", path=None if request is None else request.path, seconds=STALL_TIMEOUT_SECONDS)
        self.transport.abort()
