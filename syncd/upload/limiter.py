"""The bound on requests in flight: slots, given out first come, first served.

An upload asks for one slot at a time and sends each chunk in a task of its own. So there is at most one waiter for
each upload, and first come, first served is fair between a giant file and a small one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from syncd.core.concurrency import ConcurrencyLimit


class ConcurrencyLimiter:
    """Lets as many through as ``limit`` says; one with a ``parent`` takes a slot there too."""

    def __init__(self, limit: ConcurrencyLimit, parent: "ConcurrencyLimiter | None" = None) -> None:
        self.limit = limit
        self.in_flight = 0
        self._parent = parent
        self._narrow = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def capacity(self) -> int:
        """The requests that may be in flight now."""
        if self._narrow:
            return 1
        return min(self.limit.value, self._parent.capacity) if self._parent else self.limit.value

    def change(self, limit: ConcurrencyLimit) -> None:
        """Go by another limit from now on: who waits and fits passes at once, who is inside stays."""
        self.limit = limit
        self._grant()

    def restrict_to_one(self, only_one: bool) -> None:
        """Let one through at a time, or again as many as the limit says."""
        self._narrow = only_one
        self._grant()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Hold a slot."""
        async with AsyncExitStack() as stack:
            await self._acquire()
            stack.callback(self._release)
            if self._parent:
                await stack.enter_async_context(self._parent.slot())
            yield

    async def _acquire(self) -> None:
        if self.in_flight < self.capacity and not self._waiting:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given a slot and cancelled in the same moment
                self._release()
            raise

    def _release(self) -> None:
        self.in_flight -= 1
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self.in_flight < self.capacity:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
