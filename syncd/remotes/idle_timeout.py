"""End a request that makes no progress, however long the whole request may take."""

import asyncio
from types import TracebackType


class IdleTimeout:
    """An async context manager with a deadline that progress extends.

    Raises ``TimeoutError`` ``timeout`` seconds after the last call of :meth:`restart`.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = asyncio.timeout(timeout)
        self._over = False

    def restart(self) -> None:
        """Restart the countdown, after progress or at the end of a pause."""
        self._set(asyncio.get_running_loop().time() + self._timeout)

    def pause(self) -> None:
        """Suspend the countdown until :meth:`restart`, because the client itself causes the delay."""
        self._set(None)

    def _set(self, when: float | None) -> None:
        if not self._over and not self._deadline.expired():
            self._deadline.reschedule(when)

    async def __aenter__(self) -> "IdleTimeout":
        await self._deadline.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        await self._deadline.__aexit__(kind, error, traceback)
