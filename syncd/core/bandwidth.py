"""The bandwidth limit: a timetable of rates, and the bucket that spends the allowance."""

from collections.abc import Sequence
from dataclasses import dataclass

BURST = 0.25
"""Seconds' worth of the rate that may go at once."""
DAY = 24 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A part of the day, in minutes since midnight, and its limit in bytes a second: None is unlimited, 0 is none.

    ``start`` is in it, ``end`` is not; a span whose end is not after its start goes on past midnight.
    """

    start: int
    end: int
    limit: float | None

    def covers(self, minute: int) -> bool:
        """Say whether ``minute`` of the day lies in the span."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def limit_at(timetable: Sequence[Span], minute: int) -> float | None:
    """Return the limit at ``minute`` of the day: the first span that covers it, else unlimited."""
    return next((span.limit for span in timetable if span.covers(minute)), None)


class TokenBucket:
    """A token bucket: bytes flow in at the rate, and whoever sends draws them out."""

    def __init__(self, rate: float | None, now: float) -> None:
        self.rate = rate
        self._level = 0.0
        self._at = now

    def set_rate(self, rate: float | None, now: float) -> None:
        """Go on at another rate: bytes a second, None for unlimited, 0 for none. Who waits is to draw anew then."""
        self._refill(now)
        if rate != self.rate:
            self._level = 0.0
        self.rate = rate

    def draw(self, size: int, now: float) -> float:
        """Take ``size`` bytes out; return the seconds to wait before sending them (``inf`` at rate 0)."""
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
