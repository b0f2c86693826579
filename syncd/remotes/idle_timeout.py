"""Ends a request that makes no progress, however long the whole request may take."""

import asyncio
from collections.abc import Callable
from types import TracebackType

_CHECKS_PER_TIMEOUT = 4


class IdleTimeout:
    """An async context manager with a deadline that progress extends.

    Raises ``TimeoutError`` ``timeout`` seconds after the last call of :meth:`restart`. After :meth:`watch`,
    the timeout itself checks for progress, and the error is up to a quarter of ``timeout`` late.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = asyncio.timeout(None)
        self._due: float | None = None
        """When the countdown ends; None during a pause."""
        self._check_timer: asyncio.TimerHandle | None = None
        self._unsent: Callable[[], int] = int
        self._last_unsent = 0

    def watch(self, unsent: Callable[[], int]) -> None:
        """Count it as progress when ``unsent()``, the bytes that wait to be sent, becomes smaller."""
        self._unsent = unsent

    def restart(self) -> None:
        """Restart the countdown, after progress or at the end of a pause."""
        self._due = asyncio.get_running_loop().time() + self._timeout

    def pause(self) -> None:
        """Suspend the countdown until :meth:`restart`, because the client itself causes the delay."""
        self._due = None

    def _check(self) -> None:
        """End the context if the countdown has ended, otherwise schedule the next check.

        One timer that is seldom set is cheaper than a new timer for each piece that is sent.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        unsent = self._unsent()
        if self._due is not None:
            if unsent < self._last_unsent:
                self.restart()
            elif self._due <= now:
                self._deadline.reschedule(now)
                return
        self._last_unsent = unsent
        self._schedule_check()

    def _schedule_check(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + self._timeout / _CHECKS_PER_TIMEOUT
        self._check_timer = loop.call_at(at if self._due is None else min(at, self._due), self._check)

    async def __aenter__(self) -> "IdleTimeout":
        await self._deadline.__aenter__()
        self.restart()
        self._schedule_check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._check_timer is not None:
            self._check_timer.cancel()
        await self._deadline.__aexit__(kind, error, traceback)
