"""Measures how many requests a server handles at a time.

By Little's law, that is the number of requests in flight, divided by the ratio of the response time to that without
load (:class:`ResponseTimes`). Requests of all sizes are comparable by this ratio. The measure contains only the
server's time: pauses between the requests, for example for the store, do not change it.
:mod:`~syncd.core.concurrency` decides with it.
"""

from collections import Counter, defaultdict


class Window:
    """The completed requests that were sent since the last decision.

    ``opened`` is the time of that decision. A request that was sent before it does not count, because its response time
    depends on the earlier limit.
    """

    def __init__(self, opened: float) -> None:
        self.opened = opened
        self.requests: Counter[int] = Counter()
        """The number of requests by size class."""
        self.seconds: defaultdict[int, float] = defaultdict(float)
        """The sum of their response times by size class."""
        self._in_flight = 0

    def add(self, *, size: int, began: float, in_flight: int, now: float) -> None:
        """Record the end of a request of ``size`` bytes; ``in_flight`` includes it."""
        if began >= self.opened:
            size_class = size.bit_length()
            self.requests[size_class] += 1
            self.seconds[size_class] += now - began
            self._in_flight += in_flight

    @property
    def count(self) -> int:
        """The number of requests."""
        return self.requests.total()

    @property
    def total_seconds(self) -> float:
        """The sum of the response times."""
        return sum(self.seconds.values())

    @property
    def mean_in_flight(self) -> float:
        """The mean number of requests in flight when a request ended."""
        return self._in_flight / self.count


class ResponseTimes:
    """The response time without load of each size class, in seconds.

    The estimate is the shortest response time so far.
    """

    def __init__(self) -> None:
        self._shortest: dict[int, float] = {}

    def learn(self, size: int, seconds: float) -> None:
        """Record the response time of a request of ``size`` bytes, if it is the shortest."""
        size_class = size.bit_length()
        self._shortest[size_class] = min(seconds, self._shortest.get(size_class, seconds))

    def slowdown(self, window: Window) -> float:
        """Return the ratio of the response times in a window to those without load.

        Return 1 without a measurement, for example for an empty window.
        """
        unloaded = sum(count * self._shortest[size_class] for size_class, count in window.requests.items())
        return window.total_seconds / unloaded if unloaded else 1.0

    def throughput(self, window: Window) -> float:
        """Return the number of requests that the server handled at a time."""
        return window.mean_in_flight / self.slowdown(window)
