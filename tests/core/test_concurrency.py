"""The adaptive limit in simulated time, compared with the best fixed limit."""

import pytest

from syncd.core.concurrency import AdaptiveLimit, FixedLimit, Tuning
from tests.core.server_models import KIB, Ceiling, Far, Knee, Queue, run, share_of_best

SEEDS = range(2)
WITH_SMALL_REQUESTS = (0, 200 * KIB, 0)
"""The requests of one file in chunks: begin, chunk, finish."""


def first_time(result, limit):
    return next(at for at, value in result.limits if value >= limit)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(200 * KIB,), WITH_SMALL_REQUESTS])
def test_adaptive_limit_far_server_doubles_to_the_maximum(sizes, seed):
    share, result = share_of_best(Far, 0, 10, sizes=sizes, seed=seed)
    assert share > 0.9
    assert first_time(result, 64) < 0.5
    assert result.mean_limit(2) > 0.9 * Tuning().most


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_limit_far_server_ignores_pauses_of_the_client(seed):
    """A pause between requests, for example for the store, does not change the response time."""
    limit, now = AdaptiveLimit(), 0.0
    for _ in range(200):
        for _ in range(limit.value):
            limit.finished(size=200 * KIB, began=now, in_flight=limit.value, now=now + 0.05)
        now += 0.05 + (now * 7 + seed) % 0.5
    assert limit.value > 200


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_limit_far_server_stops_at_its_capacity(seed):
    """26 requests in flight saturate the server: 2 ms of processor each, 50 ms away."""
    share, result = share_of_best(lambda: Queue(seconds=0.002), 0, 20, seed=seed)
    assert share > 0.95
    assert 20 < result.mean_limit(5) < 45


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_limit_near_server_stays_low(seed):
    share, result = share_of_best(lambda: Queue(seconds=0.0025, round_trip=0.001), 0, 60, seed=seed)
    assert share > 0.95
    assert result.mean_limit(0.5) < 6
    assert max(limit for _, limit in result.limits) <= 16


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(200 * KIB,), WITH_SMALL_REQUESTS])
def test_adaptive_limit_slow_link_reaches_its_rate(sizes, seed):
    share, result = share_of_best(lambda: Queue(rate=12.5e6), 0, 30, sizes=sizes, seed=seed)
    assert share > 0.9
    assert result.mean_limit(5) < 30


@pytest.mark.parametrize("size", [200 * KIB, 5 * 1024 * KIB])
def test_adaptive_limit_very_slow_link_gets_few_requests(size):
    share, result = share_of_best(lambda: Queue(rate=125e3), 0, 1200, sizes=(size,))
    assert share > 0.9
    assert max(limit for _, limit in result.limits) <= 8
    assert result.mean_limit(60) < 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", [4, 7, 30])
def test_adaptive_limit_429_above_a_number_settles_below(number, seed):
    share, result = share_of_best(lambda: Ceiling({0: number}), 0, 100, seed=seed)
    assert share > 0.9
    assert result.rejected_share(5) < 0.02
    assert 0.9 * number < result.mean_limit(40) < 1.02 * number


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("numbers", [{0: 4, 120: 40}, {0: 40, 120: 4}, {0: 16, 120: 6}])
def test_adaptive_limit_429_follows_the_number(numbers, seed):
    *_, number = numbers.values()
    late = run(AdaptiveLimit(), Ceiling(numbers), 400, seed=seed)
    best = run(FixedLimit(number), Ceiling({0: number}), 400, seed=seed)
    assert late.rate(260, 400) > 0.9 * best.rate(260, 400)
    assert late.rejected_share(5) < 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", [8, 20])
def test_adaptive_limit_latency_knee_settles_below(number, seed):
    share, result = share_of_best(lambda: Knee(number), 0, 30, seed=seed)
    assert share > 0.9
    assert result.mean_limit(5) < number * 1.2


def test_adaptive_limit_server_that_becomes_slow_gets_fewer():
    """A far server with room for all requests becomes one that five requests saturate."""
    slow = Queue(seconds=0.01)

    def respond(now, in_flight, size, rng):
        return (Far() if now < 5 else slow)(now, in_flight, size, rng)

    result = run(AdaptiveLimit(), respond, 120)
    assert result.rate(0, 5) > 4000
    assert result.rate(60, 120) > 0.95 * 100
    assert result.mean_limit(60) < 16
    assert next(limit for at, limit in result.limits if at > 30) < 32


def test_adaptive_limit_halves_on_overload_and_recovers():
    limit = AdaptiveLimit()
    run(limit, Queue(seconds=0.002), 30)
    limit._before = None  # no trial is going on
    before = limit.value
    limit.overloaded(began=29.9, now=30.0)
    assert limit.value == before // 2
    limit.overloaded(began=29.95, now=33.0)  # sent before the overload was known
    limit.overloaded(began=30.05, now=30.1)  # within the cooldown
    assert limit.value == before // 2
    limit.overloaded(began=31.9, now=32.0)
    assert limit.value == before // 4
    run(limit, Far(), 80)
    assert limit.value > before


def test_adaptive_limit_overload_of_trial_restores_limit():
    limit = AdaptiveLimit()
    for value in (4, 8, 16):
        assert limit.value == value
        for _ in range(value):
            limit.finished(size=1, began=value, in_flight=value, now=value + 0.05)
    assert limit.value == 32
    limit.overloaded(began=20.0, now=20.1)
    assert limit.value == 16


def test_adaptive_limit_after_overload_does_not_rise_for_a_while():
    limit = AdaptiveLimit()
    limit.overloaded(began=0.0, now=0.1)
    result = run(limit, Far(), Tuning().pause)
    assert {value for _, value in result.limits} == {2}


def test_adaptive_limit_never_falls_below_one():
    limit = AdaptiveLimit()
    for second in range(100):
        limit.overloaded(began=second * 10.0, now=second * 10.0 + 1)
    assert limit.value == 1


@pytest.mark.parametrize("in_flight", [1, 2])
def test_adaptive_limit_does_not_rise_without_work(in_flight):
    limit = AdaptiveLimit()
    for number in range(10_000):
        limit.finished(size=1, began=number * 0.01, in_flight=in_flight, now=number * 0.01 + 0.005)
        assert limit.value == Tuning().first


def test_adaptive_limit_never_exceeds_its_maximum():
    result = run(AdaptiveLimit(), Far(0.3), 60)
    assert max(limit for _, limit in result.limits) == 256


def test_fixed_limit_never_changes():
    limit = FixedLimit(7)
    limit.overloaded(began=0, now=0)
    limit.finished(size=1, began=0, in_flight=7, now=1)
    assert limit.value == 7
