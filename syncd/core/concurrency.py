"""Limits of the requests in flight to a server: fixed, or adapted to the server.

:class:`AdaptiveLimit` climbs a hill: it raises the limit by a step, and keeps the step only if the throughput rose. A
distant server gains from each step until the connection is full; a near or weak server gains nothing, and the limit
stays low. A sign of overload halves the limit at once.
"""

from dataclasses import dataclass
from typing import Protocol

REQUEST_COST = 32 * 1024
"""Bytes added to each request's size, so that small files and large chunks measure alike."""


class ConcurrencyLimit(Protocol):
    """A limit of requests in flight that may learn from their results."""

    @property
    def value(self) -> int:
        """The requests that may be in flight now, 1 or more."""

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Record a successful request of ``size`` bytes, and the number of requests in flight with it."""

    def overloaded(self, now: float) -> None:
        """Record that the server is overloaded."""


class FixedLimit:
    """A limit that a user chose."""

    def __init__(self, value: int) -> None:
        self.value = value

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Change nothing."""

    def overloaded(self, now: float) -> None:
        """Change nothing: backoff and circuit breaker protect the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """The constants of :class:`AdaptiveLimit`. Times in seconds."""

    first: int = 4
    least: int = 1
    most: int = 64
    window: float = 0.25
    """A window lasts at least this long, and at least two rounds of the requests in flight."""
    step: float = 1.5
    gain: float = 1 / 3
    """A step is kept if it brought at least this part of the gain of a perfect connection."""
    hold: int = 8
    """Windows without a step after a step that gained nothing; doubled each time, up to four times the value."""
    cooldown: float = 1.0
    """Time in which further signs of overload count as the same overload."""


class AdaptiveLimit:
    """A limit that searches for the fewest requests in flight that keep the server busy."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = tuning or Tuning()
        self.value = self._tuning.first
        self._before: tuple[int, float] | None = None  # the limit under the last step, and its rate
        self._hold = 0
        self._patience = self._tuning.hold
        self._last_overload = float("-inf")
        self._open_window(None)

    def _open_window(self, now: float | None) -> None:
        self._started = now
        self._work = 0
        self._requests = 0
        self._saturated = 0

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Count a request; at the end of a window, decide."""
        if self._started is None:
            self._open_window(now)
            return
        self._work += size + REQUEST_COST
        self._requests += 1
        self._saturated += in_flight >= self.value
        elapsed = now - self._started
        if self._requests >= 2 * self.value and elapsed >= self._tuning.window:
            if (
                self._saturated * 2 >= self._requests
            ):  # otherwise there was too little work, and the limit was not reached
                self._decide(self._work / elapsed)
            self._open_window(now)

    def _decide(self, rate: float) -> None:
        if self._before is not None:
            lower, lower_rate = self._before
            wanted = 1 + self._tuning.gain * (self.value / lower - 1)
            if rate < lower_rate * wanted:
                self.value = lower
                self._before = None
                self._hold = self._patience
                self._patience = min(self._patience * 2, self._tuning.hold * 4)
                return
            self._patience = self._tuning.hold
        if self._hold > 0:
            self._hold -= 1
            return
        higher = min(self._tuning.most, max(self.value + 1, int(self.value * self._tuning.step)))
        self._before = (self.value, rate) if higher > self.value else None
        self.value = higher

    def overloaded(self, now: float) -> None:
        """Halve the limit, at most once a cooldown, and stay there a while."""
        if now - self._last_overload < self._tuning.cooldown:
            return
        self._last_overload = now
        self.value = max(self._tuning.least, self.value // 2)
        self._before = None
        self._hold = self._tuning.hold
        self._open_window(None)
