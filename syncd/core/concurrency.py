"""Limits the requests in flight to a server: by a fixed number, or adaptively.

:class:`AdaptiveLimit` uses hill climbing: it raises the limit by a step, and keeps the step only if the throughput
rose. With a distant server the throughput rises until the connection is saturated. With a near or weak server it does
not rise, and the limit stays low. A sign of overload halves the limit at once.

:mod:`~syncd.upload.limiter` grants the requests.
"""

from dataclasses import dataclass
from typing import Protocol

REQUEST_COST = 32 * 1024
"""Bytes added to the size of each request, so that requests of different sizes are comparable."""


class ConcurrencyLimit(Protocol):
    """A limit of the requests in flight, which may adapt to their results."""

    @property
    def value(self) -> int:
        """The number of requests that may be in flight now, 1 or more."""

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Record a successful request of ``size`` bytes.

        ``in_flight`` is the number of requests in flight, including this one.
        """

    def overloaded(self, now: float) -> None:
        """Record that the server is overloaded."""


class FixedLimit:
    """A limit from the configuration."""

    def __init__(self, value: int) -> None:
        self.value = value

    def finished(self, *, size: int, in_flight: int, now: float) -> None:
        """Change nothing."""

    def overloaded(self, now: float) -> None:
        """Change nothing: the backoff and the circuit breaker protect the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """The constants of :class:`AdaptiveLimit`. Times in seconds."""

    first: int = 4
    least: int = 1
    most: int = 64
    window: float = 0.25
    """The shortest time for which throughput is measured; a window also has at least two requests per slot."""
    step: float = 1.5
    gain: float = 1 / 3
    """A step is kept if the throughput rose by at least this fraction of the rise of the limit."""
    hold: int = 8
    """Windows without a step after a step that was not kept; doubled each time, up to four times this value."""
    cooldown: float = 1.0
    """Further signs of overload within this time count as the same overload."""


class AdaptiveLimit:
    """A limit that searches for the fewest requests in flight that reach the full throughput."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = tuning or Tuning()
        self.value = self._tuning.first
        self._before: tuple[int, float] | None = None  # limit and throughput before the last step
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
        """Count a request; at the end of a window, change the limit or leave it."""
        if self._started is None:
            self._open_window(now)
            return
        self._work += size + REQUEST_COST
        self._requests += 1
        self._saturated += in_flight >= self.value
        elapsed = now - self._started
        if self._requests >= 2 * self.value and elapsed >= self._tuning.window:
            # If fewer requests met a full limit, there was too little work to judge the limit.
            if self._saturated * 2 >= self._requests:
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
        """Halve the limit, at most once per cooldown, and take no step for ``hold`` windows."""
        if now - self._last_overload < self._tuning.cooldown:
            return
        self._last_overload = now
        self.value = max(self._tuning.least, self.value // 2)
        self._before = None
        self._hold = self._tuning.hold
        self._open_window(None)
