"""Estimates how long the pending uploads take.

It uses the smoothed rate of the work done. A job counts as its bytes plus :data:`JOB_BYTES`, because a file takes time
however small it is. :mod:`syncd.daemon.sync_progress` counts the work.
"""

import math

JOB_BYTES = 128 * 1024
"""The bytes that take as long as everything else about a job: reading the file, requests, the job store."""
SMOOTHING_SECONDS = 60.0
"""The rate is a mean over about this time, so that the estimate does not jump."""
MIN_STEP_SECONDS = 1.0
"""Observations closer together than this are one."""


class RemainingTime:
    """The rate of the work. Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._started = self._observed = self._progressed = 0.0
        self._done = self._rate = 0.0

    def start(self, now: float) -> None:
        """Begin to count; nothing is done yet."""
        self._started = self._observed = self._progressed = now
        self._done = self._rate = 0.0

    def skip(self, now: float) -> None:
        """Leave the time since the last observation out of the rate.

        No work could be done in this time.
        """
        self._started += now - self._observed
        self._observed = self._progressed = now

    def observe(self, now: float, *, jobs: int, size: int) -> None:
        """Record that ``jobs`` jobs with ``size`` bytes are done since the start."""
        done, elapsed = work(jobs, size), now - self._observed
        if elapsed < MIN_STEP_SECONDS:
            return
        step = max(0.0, done - self._done)
        weight = max(elapsed / (now - self._started), 1 - math.exp(-elapsed / SMOOTHING_SECONDS))
        self._rate += weight * (step / elapsed - self._rate)
        self._observed, self._done = now, done
        if step:
            self._progressed = now

    def seconds(self, now: float, *, jobs: int, size: int) -> float | None:
        """Return the time for the pending work; None while nothing moves."""
        if not jobs:
            return 0.0
        moving = self._rate > 0 and now - self._progressed <= SMOOTHING_SECONDS
        return work(jobs, size) / self._rate if moving else None


def work(jobs: int, size: int) -> float:
    """Return the work of jobs in bytes."""
    return float(size + jobs * JOB_BYTES)
