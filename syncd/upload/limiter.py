"""Limits the requests in flight: slots, granted first come, first served.

Uploads of new files wait in a line of their own; while both lines wait, they take turns. An upload acquires the slot of
a chunk before it starts the chunk's task. Each upload therefore has at most one waiter, and the order of arrival is
fair between a large file and a small one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from syncd.core.concurrency import ConcurrencyLimit


class ConcurrencyLimiter:
    """Grants as many slots as ``limit`` allows; each slot needs a slot of ``parent`` too."""

    def __init__(self, limit: ConcurrencyLimit, parent: "ConcurrencyLimiter | None" = None) -> None:
        self.limit = limit
        self.in_flight = 0
        self._parent = parent
        self._one_only = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_first: deque[asyncio.Future[None]] = deque()
        self._turn_of_first = True

    @property
    def capacity(self) -> int:
        """The number of requests that may be in flight now."""
        if self._one_only:
            return 1
        return min(self.limit.value, self._parent.capacity) if self._parent else self.limit.value

    def change(self, limit: ConcurrencyLimit) -> None:
        """Change the limit; slots already granted stay granted."""
        self.limit = limit
        self._grant()

    def restrict_to_one(self, only_one: bool) -> None:
        """Grant one slot at a time; if ``only_one`` is false, as many as the limit allows."""
        self._one_only = only_one
        self._grant()

    @asynccontextmanager
    async def slot(self, *, first: bool = False) -> AsyncGenerator[None]:
        """Hold a slot during the context, as :meth:`acquire`."""
        await self.acquire(first=first)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, *, first: bool = False) -> None:
        """Wait until a slot is free, and take it. The caller calls :meth:`release`.

        Of the slots that become free, every second one goes to a caller with ``first``, if one waits.
        """
        await self._acquire_own(first=first)
        if self._parent:
            try:
                await self._parent.acquire(first=first)
            except BaseException:
                self._release_own()
                raise

    def release(self) -> None:
        """Give a slot back."""
        if self._parent:
            self._parent.release()
        self._release_own()

    async def _acquire_own(self, *, first: bool) -> None:
        if self.in_flight < self.capacity and not self._waiting and not self._waiting_first:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        (self._waiting_first if first else self._waiting).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted and cancelled at the same moment
                self._release_own()
            raise

    def _release_own(self) -> None:
        self.in_flight -= 1
        self._grant()

    def _grant(self) -> None:
        while (self._waiting or self._waiting_first) and self.in_flight < self.capacity:
            first = bool(self._waiting_first) and (self._turn_of_first or not self._waiting)
            turn = (self._waiting_first if first else self._waiting).popleft()
            if not turn.done():
                self._turn_of_first = not first
                self.in_flight += 1
                turn.set_result(None)
