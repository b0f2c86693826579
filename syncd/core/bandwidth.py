"""The rules of the bandwidth limit: a timetable of limits, and a token bucket.

:mod:`~syncd.upload.throttle` applies them to the bytes of all uploads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BURST = 0.25
"""The capacity of the bucket, in seconds at the present rate."""
DAY = 24 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A part of the day, in minutes since midnight, with its limit.

    ``limit`` is in bytes per second: None is unlimited, 0 allows nothing. The span includes ``start`` but not ``end``.
    If ``end`` is not after ``start``, the span continues past midnight.
    """

    start: int
    end: int
    limit: float | None

    def covers(self, minute: int) -> bool:
        """Return whether ``minute`` of the day lies in the span."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def limit_at(timetable: Sequence[Span], minute: int) -> float | None:
    """Return the limit of the first span that covers ``minute`` of the day, else None."""
    return next((span.limit for span in timetable if span.covers(minute)), None)


class TokenBucket:
    """A token bucket, filled at ``rate`` bytes per second; senders draw their bytes from it.

    A rate of None is unlimited; a rate of 0 allows nothing.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self.rate = rate
        self._level = 0.0
        self._at = now

    def set_rate(self, rate: float | None, now: float) -> None:
        """Change the rate. Senders that wait must draw again."""
        self._refill(now)
        if rate != self.rate:
            self._level = 0.0
        self.rate = rate

    def draw(self, size: int, now: float) -> float:
        """Draw ``size`` bytes; return the seconds to wait before sending them (``inf`` at rate 0)."""
        if self.rate is None:
            return 0.0
        if self.rate <= 0:
            return float("inf")
        self._refill(now)
        self._level -= size
        return max(0.0, -self._level / self.rate)

    def _refill(self, now: float) -> None:
        if self.rate:
            self._level = min(self.rate * BURST, self._level + (now - self._at) * self.rate)
        else:
            self._level = 0.0
        self._at = now
