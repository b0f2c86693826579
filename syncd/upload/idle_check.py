"""Checks a server after some minutes without a request, so that its state is true.

:mod:`~syncd.upload.worker` calls :meth:`IdleCheck.start_if_due` after each poll of the queue. The request is that of a
probe: its failure opens the circuit breaker.
"""

import asyncio
from collections.abc import Callable

from syncd.asyncio_tools import cancel_and_wait
from syncd.upload.endpoint import Endpoint

IDLE_SECONDS = 180.0, 300.0
"""A check is due after a random time in this range, so that many daemons do not ask a server at the same time."""


class IdleCheck:
    """Checks one server when it is idle.

    ``random`` returns a number from 0 to 1. ``ended`` is called after each check.
    """

    def __init__(self, endpoint: Endpoint, *, random: Callable[[], float], ended: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._random = random
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._started = endpoint.clock()
        self._idle_seconds = self._draw()

    def start_if_due(self, delay: float | None) -> float | None:
        """Start a check if it is due; return the seconds until the next call.

        They are ``delay`` or less. None means that the end of a request or of the check leads to the next call.
        """
        endpoint = self._endpoint
        if endpoint.down or endpoint.limiter.in_flight or self._task is not None:
            return delay
        idle = endpoint.clock() - (self._started if endpoint.last_success is None else endpoint.last_success)
        if idle < self._idle_seconds:
            remaining = max(1.0, self._idle_seconds - idle)  # a tiny delay might not move the clock
            return remaining if delay is None else min(delay, remaining)
        self._idle_seconds = self._draw()
        self._task = asyncio.create_task(endpoint.ask())
        self._task.add_done_callback(self._end)
        return delay

    async def close(self) -> None:
        """Cancel the check in progress."""
        if self._task is not None:
            await cancel_and_wait(self._task)

    def _end(self, _: asyncio.Task[None]) -> None:
        self._task = None
        self._ended()

    def _draw(self) -> float:
        shortest, longest = IDLE_SECONDS
        return shortest + (longest - shortest) * self._random()
