"""Closes a connection of the control API when its client stops reading.

On Linux, TCP has the option TCP_USER_TIMEOUT for this; Unix sockets and named pipes have none. Without a time limit, an
unread response would occupy memory, a file descriptor and a subscription until the client ends.
"""

import asyncio
from typing import Any

import structlog
from aiohttp import web

STALL_TIMEOUT_SECONDS = 60.0
"""The time limit for a client to read some of the pending bytes."""

log = structlog.get_logger(__name__)


class Connection(web.RequestHandler):
    """Aborts when the client reads nothing for :data:`STALL_TIMEOUT_SECONDS`."""

    __slots__ = ("_check", "_waiting")

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._check: asyncio.TimerHandle | None = None
        self._waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the buffer limit to zero: any unsent byte causes :meth:`pause_writing`."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the timer: bytes wait for the client."""
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        """Stop the timer: the client has received everything."""
        self._stop_timer()
        super().resume_writing()

    def _start_timer(self) -> None:
        assert self.transport is not None
        self._waiting = self.transport.get_write_buffer_size()
        self._check = self._loop.call_later(STALL_TIMEOUT_SECONDS, self._check_progress)

    def _stop_timer(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _check_progress(self) -> None:
        """Abort the connection unless the client has read some bytes.

        The handler writes nothing while the transport is paused, so fewer bytes mean progress.
        """
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() < self._waiting:
            self._start_timer()
            return
        request = self._current_request
        log.warning("control.dropped", path=None if request is None else request.path, seconds=STALL_TIMEOUT_SECONDS)
        self.transport.abort()
