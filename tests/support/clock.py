"""Clocks for code that takes its clock as an argument. A call returns seconds."""

import time
from collections.abc import Callable


class ManualClock:
    """A clock that stands still until a test advances it or sets ``now``."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class OffsetClock:
    """A clock that runs ``offset`` seconds ahead of another one, the wall clock by default."""

    def __init__(self, offset: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.offset = offset
        self._clock = clock

    def __call__(self) -> float:
        return self._clock() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds
