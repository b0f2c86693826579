"""Models of servers in simulated time, for the tests of the adaptive limit.

Each model returns when a request ends, or None if the server rejects it with a 429.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from syncd.core.concurrency import AdaptiveLimit, ConcurrencyLimit, FixedLimit

KIB = 1024
ROUND_TRIP_SECONDS = 0.05
REJECTION_SECONDS = 0.005
FIXED_LIMITS = (1, 2, 4, 7, 8, 12, 16, 32, 64, 128, 256)

Respond = Callable[[float, int, int, random.Random], float | None]
"""Receives the time, the requests in flight, the size of the request, and a source of random numbers."""


@dataclass
class Far:
    """A server whose response time does not depend on the load."""

    seconds: float = ROUND_TRIP_SECONDS

    def __call__(self, now: float, in_flight: int, size: int, rng: random.Random) -> float | None:
        return now + self.seconds * rng.uniform(0.95, 1.05)


@dataclass
class Queue:
    """A resource that handles one request at a time, then adds the round trip.

    Models a processor (``seconds`` a request) or a network link (``rate`` bytes a second).
    """

    seconds: float = 0.0
    rate: float = float("inf")
    round_trip: float = ROUND_TRIP_SECONDS
    _free: float = 0.0

    def __call__(self, now: float, in_flight: int, size: int, rng: random.Random) -> float | None:
        work = (self.seconds + size / self.rate) * rng.uniform(0.8, 1.2)
        self._free = max(now, self._free) + work
        return self._free + self.round_trip


@dataclass
class Ceiling:
    """A server that rejects requests above a number in flight.

    ``numbers`` maps the time of a change to the new number.
    """

    numbers: dict[float, int]
    seconds: float = ROUND_TRIP_SECONDS

    def __call__(self, now: float, in_flight: int, size: int, rng: random.Random) -> float | None:
        number = next(number for start, number in reversed(self.numbers.items()) if start <= now)
        return None if in_flight > number else now + self.seconds * rng.uniform(0.9, 1.1)


@dataclass
class Knee:
    """A server whose response time doubles with each request above a number in flight."""

    number: int
    seconds: float = 0.01

    def __call__(self, now: float, in_flight: int, size: int, rng: random.Random) -> float | None:
        extra = min(7, max(0, in_flight - self.number))
        return now + self.seconds * 2**extra * rng.uniform(0.95, 1.05)


@dataclass
class Result:
    """The result of a run. ``limits`` has (time, limit) for each end of a request."""

    limits: list[tuple[float, int]] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    rejected: list[float] = field(default_factory=list)

    def rate(self, start: float, end: float) -> float:
        """Return the successful requests per second."""
        return sum(start <= at < end for at in self.sent) / (end - start)

    def rejected_share(self, start: float) -> float:
        """Return the share of rejected requests from ``start`` on."""
        rejected = sum(at >= start for at in self.rejected)
        return rejected / max(1, rejected + sum(at >= start for at in self.sent))

    def mean_limit(self, start: float) -> float:
        """Return the mean limit from ``start`` on."""
        late = [limit for at, limit in self.limits if at >= start]
        return sum(late) / len(late)


def run(
    limit: ConcurrencyLimit, respond: Respond, seconds: float, *, sizes: Sequence[int] = (200 * KIB,), seed: int = 1
) -> Result:
    """Keep as many requests in flight as ``limit`` allows.

    After a 429, nothing is sent for up to a second, as with the circuit breaker.
    """
    rng = random.Random(seed)
    order, next_size = itertools.count(), itertools.cycle(sizes)
    result = Result()
    now = closed_until = 0.0
    ends: list[tuple[float, int, float, int, bool]] = []
    while now < seconds:
        while now >= closed_until and len(ends) < limit.value:
            size = next(next_size)
            end = respond(now, len(ends) + 1, size, rng)
            heapq.heappush(ends, (end or now + REJECTION_SECONDS, next(order), now, size, end is None))
        if not ends:
            now = closed_until
            continue
        now, _, began, size, was_rejected = heapq.heappop(ends)
        if was_rejected:
            limit.overloaded(began=began, now=now)
            result.rejected.append(now)
            closed_until = max(closed_until, now + rng.random())
        else:
            limit.finished(size=size, began=began, in_flight=len(ends) + 1, now=now)
            result.sent.append(now)
        result.limits.append((now, limit.value))
    return result


def share_of_best(
    make: Callable[[], Respond], start: float, end: float, *, sizes: Sequence[int] = (200 * KIB,), seed: int = 1
) -> tuple[float, Result]:
    """Return (the adaptive limit's rate divided by the best fixed limit's, the adaptive run).

    The rates are those from ``start`` to ``end``.
    """
    adaptive = run(AdaptiveLimit(), make(), end, sizes=sizes, seed=seed)
    best = max(run(FixedLimit(limit), make(), end, sizes=sizes, seed=seed).rate(start, end) for limit in FIXED_LIMITS)
    return adaptive.rate(start, end) / best, adaptive
