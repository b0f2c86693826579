"""How many requests may be in flight to a server.

:class:`AdaptiveLimit` climbs: it takes a step up, and keeps it only if more work got done by it. A far server gains
from each step until its line is full; a near or a weak one gains nothing and is left alone. On a sign of
overload it falls back at once.
"""

from dataclasses import dataclass
from typing import Protocol

REQUEST_COST = 32 * 1024
"""What a request weighs beside its bytes, so that small files and large chunks measure alike."""


class ConcurrencyLimit(Protocol):
    """A bound on requests in flight that may learn from how they go."""

    @property
    def value(self) -> int:
        """The requests that may be in flight now, 1 or more."""

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Take note of a request that went well: its ``size`` in bytes, and how many were in flight with it."""

    def overloaded(self, now: float) -> None:
        """Take note that the server has too much to do."""


class FixedLimit:
    """The number a person chose."""

    def __init__(self, value: int) -> None:
        self.value = value

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Change nothing."""

    def overloaded(self, now: float) -> None:
        """Change nothing: backoff and breaker shield the server."""


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
    """A step up is kept if it brought at least this part of the gain that a perfect line would give."""
    hold: int = 8
    """Windows to stay after a step that brought nothing; doubled each time, up to four times."""
    cooldown: float = 1.0
    """One overload answers for all requests that were in flight then."""


class AdaptiveLimit:
    """A limit that looks for the fewest requests in flight that keep the server busy."""

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
            if self._saturated * 2 >= self._requests:  # else the work ran short, not the limit
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
