"""The timer that ends a request which makes no progress, however long a request that does may take."""

import asyncio
from types import TracebackType


class Stall:
    """Raises ``TimeoutError`` in the block that it surrounds once ``timeout`` seconds pass without :meth:`moved`."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = asyncio.timeout(timeout)
        self._over = False

    def moved(self) -> None:
        """Take note of progress, or of the end of a pause: the time counts anew."""
        self._set(asyncio.get_running_loop().time() + self._timeout)

    def paused(self) -> None:
        """Stop counting until :meth:`moved`: it is our side that waits."""
        self._set(None)

    def _set(self, when: float | None) -> None:
        if not self._over and not self._deadline.expired():
            self._deadline.reschedule(when)

    async def __aenter__(self) -> "Stall":
        await self._deadline.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        await self._deadline.__aexit__(kind, error, traceback)
