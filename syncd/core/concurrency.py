"""Limits the requests in flight to a server: by a fixed number, or adaptively.

:class:`AdaptiveLimit` searches for the fewest requests in flight that reach the full throughput. Like TCP's slow start,
it doubles the limit in each round trip while the response time stays the same, or the throughput rises clearly. With a
near or weak server it stops early. Then it tries a slightly higher or lower limit from time to time. A sign of overload
lowers the limit at once, and the limit returns to that number rarely.

:mod:`~syncd.core.load_window` measures the throughput. :mod:`~syncd.upload.limiter` grants the requests, and
:mod:`~syncd.upload.endpoint` reports their results.
"""

from dataclasses import dataclass
from typing import Protocol

from syncd.core.load_window import ResponseTimes, Window


class ConcurrencyLimit(Protocol):
    """A limit of the requests in flight, which may adapt to their results."""

    @property
    def value(self) -> int:
        """The number of requests that may be in flight now, 1 or more."""

    def finished(self, *, size: int, began: float, in_flight: int, now: float) -> None:
        """Record a successful request of ``size`` bytes that was sent at ``began``.

        ``in_flight`` is the number of requests in flight, including this one.
        """

    def overloaded(self, *, began: float, now: float) -> None:
        """Record that a request, sent at ``began``, failed because the server is overloaded."""


class FixedLimit:
    """A limit from the configuration."""

    def __init__(self, value: int) -> None:
        self.value = value

    def finished(self, *, size: int, began: float, in_flight: int, now: float) -> None:
        """Change nothing."""

    def overloaded(self, *, began: float, now: float) -> None:
        """Change nothing: the backoff and the circuit breaker protect the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """The constants of :class:`AdaptiveLimit`. Times in seconds."""

    first: int = 4
    """The first limit, and the lowest that a lack of throughput leads to."""
    least: int = 1
    most: int = 256
    window: float = 0.25
    """The shortest time between two decisions; there are also at least two requests per slot."""
    used: float = 0.75
    """A request counts only if at least this fraction of the limit was in flight when it ended."""
    flat: float = 1.4
    """Up to this slowdown, the response time counts as unchanged, and the limit is doubled without a measurement."""
    slow: float = 1.0
    """With longer response times the limit is not doubled: a slow connection could time out."""
    headroom: float = 1.25
    """After the last doubling, the limit is the measured number of requests at a time, multiplied by this."""
    step: float = 1.25
    """The limit is multiplied or divided by this after the doubling."""
    gain: float = 0.2
    """A higher limit is kept if the throughput rose by at least this fraction of the rise of the limit."""
    loss: float = 0.1
    """A lower limit is kept if the throughput fell by at most this fraction of the fall of the limit."""
    collapse: float = 0.5
    """A trial ends, and a limit is halved, if the throughput falls below this fraction."""
    hold: int = 4
    """Windows without a step after a step that was not kept; doubled each time, up to eight times this value."""
    pause: float = 10.0
    """Time without a rise after an overload; doubled with each overload until a higher limit is kept."""
    longest_pause: float = 60.0
    cooldown: float = 1.0
    """Further signs of overload within this time count as the same overload."""


@dataclass(frozen=True, slots=True)
class _Measurement:
    limit: int
    window: Window


class AdaptiveLimit:
    """A limit that searches for the fewest requests in flight that reach the full throughput."""

    def __init__(self, tuning: Tuning | None = None) -> None:
        self._tuning = tuning or Tuning()
        self.value = self._tuning.first
        self._times = ResponseTimes()
        self._window = Window(float("-inf"))
        self._doubling = True
        self._before: _Measurement | None = None  # measured before the last step; decides whether the step is kept
        self._usual: Window | None = None  # the first window with the current limit
        self._rising = True
        self._hold = 0
        self._patience = self._tuning.hold
        self._ceiling: int | None = None  # the lowest limit with an overload
        self._pause = self._tuning.pause
        self._no_rise_before = float("-inf")
        self._last_overload = float("-inf")

    def finished(self, *, size: int, began: float, in_flight: int, now: float) -> None:
        """Count a request; at the end of a window, change the limit or leave it."""
        window, tuning = self._window, self._tuning
        if in_flight < tuning.used * self.value:  # too little work to judge the limit
            return
        window.add(size=size, began=began, in_flight=in_flight, now=now)
        self._times.learn(size, now - began)
        if self._doubling and window.count == self.value:
            self._doubling = window.total_seconds < tuning.slow * window.count
            if self._doubling and self._times.slowdown(window) <= tuning.flat:
                self._step(self.value * 2, now)
        elif self._collapsed() or (window.count >= 2 * self.value and now - window.opened >= tuning.window):
            self._judge(now)
            if self._window is window:
                self._window = Window(now)

    def _collapsed(self) -> bool:
        """Return whether the throughput has collapsed since the last rise of the limit.

        Half as many requests as the limit are enough: the window does not have to be complete.
        """
        before, window = self._before, self._window
        if before is None or self.value < before.limit or window.count * 2 < self.value:
            return False
        return self._times.throughput(window) < self._tuning.collapse * self._times.throughput(before.window)

    def _judge(self, now: float) -> None:
        """Keep or revert the last step, and take the next one."""
        tuning, before, self._before = self._tuning, self._before, None
        throughput = self._times.throughput(self._window)
        if before is not None:
            if not self._better(before, throughput):
                self._revert(before, throughput)
                return
            self._patience = tuning.hold
            self._usual = self._window
            if self._ceiling is not None and self.value >= self._ceiling:
                self._ceiling, self._pause = None, tuning.pause
        elif self._usual is None:
            self._usual = self._window
        elif throughput < tuning.collapse * self._times.throughput(self._usual):
            self.value = max(min(tuning.first, self.value), self.value // 2)
            self._usual, self._rising, self._doubling, self._hold = None, False, False, 0
            return
        if self._doubling:
            self._step(self.value * 2, now)
        elif self._hold > 0:
            self._hold -= 1
        elif now >= self._no_rise_before:
            self._step(self._next(), now)

    def _better(self, before: _Measurement, throughput: float) -> bool:
        change = self.value / before.limit - 1
        factor = self._tuning.gain if change > 0 else self._tuning.loss
        return throughput >= self._times.throughput(before.window) * (1 + factor * change)

    def _revert(self, before: _Measurement, throughput: float) -> None:
        tuning = self._tuning
        if self._doubling:
            self.value = min(self.value, max(before.limit, round(throughput * tuning.headroom)))
            self._doubling = False
        else:
            self.value = before.limit
            self._rising = not self._rising
        self._usual = None
        self._hold = self._patience
        self._patience = min(self._patience * 2, tuning.hold * 8)

    def _next(self) -> int:
        """Return the next limit to try."""
        value, tuning = self.value, self._tuning
        if not self._rising:
            return max(min(tuning.first, value), min(value - 1, int(value / tuning.step)))
        higher = max(value + 1, int(value * tuning.step))
        return higher if self._ceiling is None else min(higher, (value + self._ceiling + 1) // 2)

    def _step(self, limit: int, now: float) -> None:
        """Change the limit for a trial: the next window is compared with this one."""
        limit = min(limit, self._tuning.most)
        if limit == self.value:  # the end of the range
            self._doubling = False
            self._rising = not self._rising
            self._hold = self._patience
            return
        self._before = _Measurement(self.value, self._window)
        self.value = limit
        self._window = Window(now)

    def overloaded(self, *, began: float, now: float) -> None:
        """Lower the limit, and do not raise it for some time.

        The limit returns to its value before the last rise; without a rise to take back, it is halved. An overload of
        requests that were sent before the last overload changes nothing.
        """
        tuning, before = self._tuning, self._before
        if began <= self._last_overload or now - self._last_overload < tuning.cooldown:
            return
        self._last_overload = now
        self._ceiling = self.value
        self.value = before.limit if before and before.limit < self.value else max(tuning.least, self.value // 2)
        self._before = self._usual = None
        self._doubling, self._rising, self._hold = False, True, 0
        self._no_rise_before = now + self._pause
        self._pause = min(self._pause * 2, tuning.longest_pause)
        self._window = Window(now)
