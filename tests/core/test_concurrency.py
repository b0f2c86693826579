"""Tests of the adaptive limit with distant, slow and overloaded servers in simulated time."""

import heapq
import random

from syncd.core.concurrency import AdaptiveLimit, FixedLimit, Tuning


def run(limit, latency, seconds, *, size=200_000, seed=1):
    """Keep ``limit`` requests in flight; return the limits over time, and requests per second.

    ``latency(in_flight, random)`` is in seconds, or None for a response that reports overload.
    """
    rng = random.Random(seed)
    now, in_flight, ends, seen = 0.0, 0, [], []
    while now < seconds:
        while in_flight < limit.value:
            in_flight += 1
            took = latency(in_flight, rng)
            heapq.heappush(ends, (now + (took or 0.05), rng.random(), took is None))
        now, _, refused = heapq.heappop(ends)
        if refused:
            limit.overloaded(now)
        else:
            limit.finished(size=size, in_flight=in_flight, now=now)
        in_flight -= 1
        seen.append(limit.value)
    return seen, len(seen) / seconds


def distant(in_flight, rng):
    return 0.3 * rng.uniform(0.95, 1.05)


def slow_connection(in_flight, rng):
    """A connection that 4 requests saturate: further requests only take longer."""
    return 0.2 * max(1.0, in_flight / 4) * rng.uniform(0.95, 1.05)


def test_adaptive_limit_rises_for_distant_server():
    seen, rate = run(AdaptiveLimit(), distant, 60)
    assert seen[-1] == Tuning().most
    assert rate > 0.75 * Tuning().most / 0.3


def test_adaptive_limit_stays_low_on_slow_connection():
    for seed in range(20):
        seen, rate = run(AdaptiveLimit(), slow_connection, 120, seed=seed)
        late = seen[len(seen) // 2 :]
        assert sum(late) / len(late) < 12, seed
        assert rate > 0.9 * 4 / 0.2, seed


def test_adaptive_limit_halves_on_overload_and_recovers():
    limit = AdaptiveLimit()
    run(limit, distant, 30)
    before = limit.value
    limit.overloaded(30.0)
    assert limit.value == before // 2
    limit.overloaded(30.1)  # another request reports the same overload
    assert limit.value == before // 2
    limit.overloaded(32.0)
    assert limit.value == before // 4
    run(limit, distant, 60)
    assert limit.value == before


def test_adaptive_limit_settles_near_the_server_limit():
    seen, _ = run(AdaptiveLimit(), lambda n, rng: None if n > 10 else 0.1 * rng.uniform(0.9, 1.1), 120)
    late = seen[len(seen) // 2 :]
    assert 4 <= sum(late) / len(late) <= 12


def test_adaptive_limit_never_falls_below_one():
    limit = AdaptiveLimit()
    for second in range(100):
        limit.overloaded(second * 10.0)
    assert limit.value == 1


def test_adaptive_limit_does_not_rise_without_work():
    limit = AdaptiveLimit()
    for number in range(10_000):
        limit.finished(size=1, in_flight=1, now=number * 0.01)
    assert limit.value == Tuning().first


def test_fixed_limit_never_changes():
    limit = FixedLimit(7)
    limit.overloaded(0)
    limit.finished(size=1, in_flight=7, now=1)
    assert limit.value == 7
