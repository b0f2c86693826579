"""Ends a request that makes no progress, however long the whole request may take."""

import asyncio
from types import TracebackType


class IdleTimeout:
    """An async context manager with a deadline that progress extends.

    Raises ``TimeoutError`` ``timeout`` seconds after the last call of :meth:`restart`.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = asyncio.timeout(None)
        self._due: float | None = None
        """When the countdown ends; None during a pause."""
        self._check_timer: asyncio.TimerHandle | None = None

    def restart(self) -> None:
        """Restart the countdown, after progress or at the end of a pause."""
        self._due = asyncio.get_running_loop().time() + self._timeout

    def pause(self) -> None:
        """Suspend the countdown until :meth:`restart`, because the client itself causes the delay."""
        self._due = None

    def _check(self) -> None:
        """End the context if the countdown has ended, otherwise schedule the next check.

        The next check is at the earliest time at which the countdown can end. One timer that is seldom set is cheaper
        than a new timer for each piece that is sent.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._due is not None and self._due <= now:
            self._deadline.reschedule(now)
            return
        self._check_timer = loop.call_at(now + self._timeout if self._due is None else self._due, self._check)

    async def __aenter__(self) -> "IdleTimeout":
        await self._deadline.__aenter__()
        self.restart()
        self._check_timer = asyncio.get_running_loop().call_later(self._timeout, self._check)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._check_timer is not None:
            self._check_timer.cancel()
        await self._deadline.__aexit__(kind, error, traceback)
