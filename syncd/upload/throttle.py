"""Limits and measures the bandwidth of all uploads together.

:mod:`~syncd.core.bandwidth` has the rules; the HTTP clients call :meth:`BandwidthLimiter.acquire` for each piece of a
body.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import repeat

from syncd.core.bandwidth import Span, TokenBucket, limit_at

PIECE_BYTES = 16 * 1024
"""Bytes drawn from the bucket at a time, so that the data flows evenly at a low limit."""
LIMITED_WRITE_BYTES, UNLIMITED_WRITE_BYTES = 64 * 1024, 256 * 1024
"""Bytes written at a time, with and without a limit."""
MAX_PAUSE_SECONDS = 5.0
"""A waiting sender looks at the timetable at least this often."""
RATE_WINDOW_SECONDS = 5.0
"""Time over which the rate is measured."""
STEP_SECONDS = 5
"""Time that one number of the history covers."""
STEPS = 6 * 720
"""Numbers in the history: six hours."""


class ThroughputHistory:
    """The bytes sent in each step of the last six hours.

    The history advances only when it is used, so idle time costs nothing.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._step = self._now()
        self._sums = deque([0], maxlen=STEPS)

    def count(self, size: int) -> None:
        """Add ``size`` bytes to the current step."""
        self._move_on()
        self._sums[-1] += size

    def sums(self) -> list[int]:
        """Return the bytes of each step, oldest first; the last step is incomplete."""
        self._move_on()
        return list(self._sums)

    def _now(self) -> int:
        return int(self._clock()) // STEP_SECONDS

    def _move_on(self) -> None:
        before, self._step = self._step, self._now()
        self._sums.extend(repeat(0, min(STEPS, self._step - before)))


class Meter:
    """Counts the bytes sent: in total, as a rate over the last seconds, and in a history."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._recent: deque[tuple[float, int]] = deque()
        self._recent_size = 0
        self.total = 0
        self.history = ThroughputHistory(clock)

    def count(self, size: int) -> None:
        """Add ``size`` bytes."""
        self.total += size
        self.history.count(size)
        self._recent_size += size
        now = self._clock()
        if self._recent and now - self._recent[-1][0] < 0.1:  # a resolution of 0.1 s is sufficient
            at, sum_ = self._recent[-1]
            self._recent[-1] = (at, sum_ + size)
        else:
            self._recent.append((now, size))
        self._forget(now)

    def rate(self) -> float:
        """Return the bytes per second over the last seconds."""
        now = self._clock()
        self._forget(now)
        return self._recent_size / max(0.5, min(RATE_WINDOW_SECONDS, now - self._started))

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - RATE_WINDOW_SECONDS:
            self._recent_size -= self._recent.popleft()[1]


class BandwidthLimiter:
    """Delays the bytes of all remotes so that their sum stays within the bandwidth limit.

    ``clock`` is monotonic, in seconds; ``local_time`` selects the span of the timetable.
    """

    def __init__(
        self,
        timetable: Sequence[Span],
        *,
        clock: Callable[[], float],
        local_time: Callable[[], datetime],
    ) -> None:
        self._timetable = tuple(timetable)
        self._clock = clock
        self._local_time = local_time
        self._changed = asyncio.Event()
        self._bucket = TokenBucket(self._limit(), clock())
        self.meter = Meter(clock)

    def change(self, timetable: Sequence[Span]) -> None:
        """Change the timetable, also for senders that wait now."""
        self._timetable = tuple(timetable)
        self._changed.set()
        self._changed = asyncio.Event()

    def _limit(self) -> float | None:
        if not self._timetable:
            return None
        now = self._local_time()
        return limit_at(self._timetable, now.hour * 60 + now.minute)

    @property
    def piece_bytes(self) -> int:
        """The number of bytes to send at a time: few, if they must flow evenly."""
        return LIMITED_WRITE_BYTES if self._timetable else UNLIMITED_WRITE_BYTES

    async def acquire(self, size: int) -> None:
        """Wait until ``size`` more bytes may be sent."""
        while size > 0:
            piece = min(size, PIECE_BYTES) if self._timetable else size
            await self._draw(piece)
            self.meter.count(piece)
            size -= piece

    async def _draw(self, size: int) -> None:
        if not self._timetable:
            return
        self._bucket.set_rate(self._limit(), self._clock())
        delay = self._bucket.draw(size, self._clock())
        while delay > 0:
            rate, pause = self._bucket.rate, min(delay, MAX_PAUSE_SECONDS)
            waited = await self._pause(pause)
            self._bucket.set_rate(self._limit(), self._clock())
            same = self._bucket.rate == rate
            delay = delay - waited if same else self._bucket.draw(size, self._clock())

    async def _pause(self, seconds: float) -> float:
        """Wait ``seconds``, or until the timetable changes; return the seconds waited."""
        began = self._clock()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return seconds
        return self._clock() - began
