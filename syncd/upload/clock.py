"""The wall clock: the store goes by it, and anybody may set it."""

from collections.abc import Callable

from syncd.upload.job_queue import JobQueue

CLOCK_STEP_SECONDS = 5.0
"""Seconds by which it must have fallen behind for anybody to have set it."""


class ClockStepDetector:
    """Notices that ``clock`` (seconds since the epoch) was set back, by a ``steady`` clock that nobody sets.

    There is one for a store: lanes come and go, and what waits for one that is to come must not wait longer either.
    """

    def __init__(self, store: JobQueue, *, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()

    async def check(self) -> None:
        """Keep what waits from waiting longer by as much as the clock was set back."""
        before, self._ahead = self._ahead, self._clock() - self._steady()
        if before - self._ahead > CLOCK_STEP_SECONDS:
            await self._store.shift_due_times(before - self._ahead)
