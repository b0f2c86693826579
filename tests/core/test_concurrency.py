"""The adaptive limit against servers that are far, near, weak, or change their mind; in simulated time."""

import heapq
import random

from syncd.core.concurrency import AdaptiveLimit, FixedLimit, Tuning


def run(limit, latency, seconds, *, size=200_000, seed=1):
    """Keep ``limit`` requests in flight; ``latency(in_flight, random)`` in seconds, None for an overload answer.

    Returns the limits after each request, and the requests a second.
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


def far(in_flight, rng):
    return 0.3 * rng.uniform(0.95, 1.05)


def narrow(in_flight, rng):
    """A line that 4 requests fill: more only wait longer."""
    return 0.2 * max(1.0, in_flight / 4) * rng.uniform(0.95, 1.05)


def test_a_far_server_is_kept_busy_without_tuning():
    seen, rate = run(AdaptiveLimit(), far, 60)
    assert seen[-1] == Tuning().most
    assert rate > 0.75 * Tuning().most / 0.3


def test_a_narrow_line_is_not_flooded():
    for seed in range(20):
        seen, rate = run(AdaptiveLimit(), narrow, 120, seed=seed)
        late = seen[len(seen) // 2 :]
        assert sum(late) / len(late) < 12, seed
        assert rate > 0.9 * 4 / 0.2, seed


def test_an_overloaded_server_is_left_alone_at_once_and_found_again_later():
    limit = AdaptiveLimit()
    run(limit, far, 30)
    before = limit.value
    limit.overloaded(30.0)
    assert limit.value == before // 2
    limit.overloaded(30.1)  # the same overload, told by another request
    assert limit.value == before // 2
    limit.overloaded(32.0)
    assert limit.value == before // 4
    run(limit, far, 60)
    assert limit.value == before


def test_a_server_that_refuses_more_than_ten_settles_near_ten():
    seen, _ = run(AdaptiveLimit(), lambda n, rng: None if n > 10 else 0.1 * rng.uniform(0.9, 1.1), 120)
    late = seen[len(seen) // 2 :]
    assert 4 <= sum(late) / len(late) <= 12


def test_it_never_falls_below_one():
    limit = AdaptiveLimit()
    for second in range(100):
        limit.overloaded(second * 10.0)
    assert limit.value == 1


def test_it_does_not_grow_for_want_of_work():
    limit = AdaptiveLimit()
    for number in range(10_000):
        limit.finished(size=1, in_flight=1, now=number * 0.01)
    assert limit.value == Tuning().first


def test_a_chosen_number_stays():
    limit = FixedLimit(7)
    limit.overloaded(0)
    limit.finished(size=1, in_flight=7, now=1)
    assert limit.value == 7
