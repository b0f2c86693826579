"""Detects that the wall clock was set back, and corrects the due times in the store.

Due times are wall clock times: after such a step, every waiting job would wait too long.
"""

from collections.abc import Callable

from syncd.upload.job_queue import JobQueue

CLOCK_STEP_SECONDS = 5.0
"""A smaller difference between the clocks is not a step."""


class ClockStepDetector:
    """Compares the wall ``clock`` (seconds since the epoch) with a monotonic ``steady`` clock.

    A store has one detector, not one per worker: the due times of remotes without a worker must be corrected too.
    """

    def __init__(self, store: JobQueue, *, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._ahead = clock() - steady()

    async def check(self) -> None:
        """Move all due times back by as much as the clock was set back."""
        before, self._ahead = self._ahead, self._clock() - self._steady()
        if before - self._ahead > CLOCK_STEP_SECONDS:
            await self._store.shift_due_times(before - self._ahead)
