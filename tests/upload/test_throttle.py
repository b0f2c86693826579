"""Tests of the bandwidth limiter and of the meter, in simulated time."""

import asyncio
from datetime import datetime, timedelta

import pytest

from syncd.core.bandwidth import BURST, DAY, Span
from syncd.upload.throttle import (
    MAX_PAUSE_SECONDS,
    PIECE_BYTES,
    RATE_WINDOW_SECONDS,
    STEP_SECONDS,
    STEPS,
    BandwidthLimiter,
    Meter,
)
from tests.simulation.event_loop import simulated
from tests.support.clock import ManualClock

KIB = 1024
START = datetime(2030, 6, 1, 7, 0)  # noqa: DTZ001 - a timetable is in local time


def always(limit):
    return [Span(start=0, end=DAY, limit=limit)]


def limiter_of(timetable):
    loop = asyncio.get_running_loop()
    began = loop.time()
    return BandwidthLimiter(
        timetable, clock=loop.time, local_time=lambda: START + timedelta(seconds=loop.time() - began)
    )


async def seconds(*work):
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.gather(*work)
    return clock() - began


def test_acquire_without_limit_never_waits():
    async def run():
        limiter = limiter_of([])
        assert await seconds(limiter.acquire(10**12)) == 0
        assert limiter.meter.total == 10**12

    simulated(run())


@pytest.mark.parametrize("senders", [1, 7])
def test_acquire_senders_share_the_limit(senders):
    async def run():
        limiter = limiter_of(always(100 * KIB))
        took = await seconds(*(limiter.acquire(1000 * KIB) for _ in range(senders)))
        assert took == pytest.approx(10 * senders, rel=0.03)
        assert limiter.meter.total == senders * 1000 * KIB

    simulated(run())


def test_acquire_never_exceeds_rate_and_burst():
    async def run():
        rate = 64 * KIB
        limiter = limiter_of(always(rate))
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(3600)  # unused bytes do not accumulate
        began = clock()
        sending = asyncio.gather(*(limiter.acquire(300 * KIB) for _ in range(4)))
        while not sending.done():
            assert limiter.meter.total <= rate * (clock() - began + BURST) + 4 * PIECE_BYTES
            await asyncio.sleep(0.05)
        await sending

    simulated(run())


def test_acquire_zero_limit_ends_with_its_span():
    async def run():
        limiter = limiter_of([Span(start=6 * 60, end=8 * 60, limit=0.0), Span(start=0, end=DAY, limit=None)])
        assert 3600 <= await seconds(limiter.acquire(10 * KIB)) <= 3600 + MAX_PAUSE_SECONDS
        assert await seconds(limiter.acquire(10**9)) == 0

    simulated(run())


@pytest.mark.parametrize("before", [0.0, 1.0, 1 * KIB])
def test_change_to_unlimited_wakes_waiters(before):
    """At one byte per second a piece would wait for hours."""

    async def run():
        limiter = limiter_of(always(before))
        waiting = asyncio.gather(*(limiter.acquire(PIECE_BYTES) for _ in range(50)))
        await asyncio.sleep(12)
        assert not waiting.done()
        limiter.change([])
        assert await seconds(waiting) <= MAX_PAUSE_SECONDS

    simulated(run())


def test_change_to_higher_rate_applies_to_waiters():
    async def run():
        limiter = limiter_of(always(1 * KIB))
        waiting = asyncio.gather(*(limiter.acquire(PIECE_BYTES) for _ in range(64)))
        await asyncio.sleep(12)
        sent = limiter.meter.total
        limiter.change(always(64 * KIB))
        left = 64 * PIECE_BYTES - sent
        took = await seconds(waiting)
        assert left / (64 * KIB) - 2 <= took <= left / (64 * KIB) + MAX_PAUSE_SECONDS + 1

    simulated(run())


def test_change_to_lower_rate_applies_to_waiters():
    async def run():
        limiter = limiter_of(always(1024 * KIB))
        sending = asyncio.gather(*(limiter.acquire(10 * 1024 * KIB) for _ in range(4)))
        await asyncio.sleep(5)
        limiter.change(always(10 * KIB))
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        before = limiter.meter.total
        await asyncio.sleep(100)
        assert limiter.meter.total - before <= 100 * 10 * KIB * 1.05 + 4 * PIECE_BYTES
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    simulated(run())


def test_meter_rate_covers_the_last_seconds():
    clock = ManualClock()
    meter = Meter(clock)
    assert meter.rate() == 0
    for _ in range(1000):
        clock.advance(0.01)
        meter.count(500)
    assert meter.total == 500_000
    assert meter.rate() == pytest.approx(50_000, rel=0.05)
    clock.advance(RATE_WINDOW_SECONDS / 2)
    assert meter.rate() == pytest.approx(25_000, rel=0.1)
    clock.advance(RATE_WINDOW_SECONDS)
    assert meter.rate() == 0
    assert meter.total == 500_000


def test_meter_rate_of_first_bytes_spans_half_a_second():
    clock = ManualClock()
    meter = Meter(clock)
    meter.count(1000)
    assert meter.rate() == 2000  # measured over at least half a second


def test_meter_keeps_few_samples():
    clock = ManualClock()
    meter = Meter(clock)
    for _ in range(100_000):
        clock.advance(0.001)
        meter.count(1)
    assert len(meter._recent) <= RATE_WINDOW_SECONDS * 10 + 2


def test_history_has_every_step():
    clock = ManualClock()
    meter = Meter(clock)
    assert meter.history.sums() == [0]
    meter.count(1)
    meter.count(2)
    clock.advance(STEP_SECONDS)
    meter.count(4)
    clock.advance(3 * STEP_SECONDS)  # nothing is sent or read in this time
    assert meter.history.sums() == [3, 4, 0, 0, 0]
    meter.count(8)
    assert meter.history.sums() == [3, 4, 0, 0, 8]


def test_history_keeps_six_hours():
    clock = ManualClock()
    meter = Meter(clock)
    meter.count(1)
    clock.advance((STEPS - 1) * STEP_SECONDS)
    meter.count(2)
    assert STEPS * STEP_SECONDS == 6 * 3600
    assert meter.history.sums() == [1, *[0] * (STEPS - 2), 2]
    clock.advance(STEP_SECONDS)
    assert meter.history.sums() == [*[0] * (STEPS - 2), 2, 0]
    clock.advance(365 * 86_400)
    assert meter.history.sums() == [0] * STEPS


def test_change_applies_to_waiters_at_once():
    async def run():
        limiter = limiter_of(always(1 * KIB))
        sending = asyncio.gather(*(limiter.acquire(100 * KIB) for _ in range(3)))
        await asyncio.sleep(1)
        assert await seconds(change(limiter, []), sending) == 0

    async def change(limiter, timetable):
        limiter.change(timetable)

    simulated(run())


def test_change_to_same_rate_keeps_the_wait():
    async def run():
        limiter = limiter_of(always(16 * KIB))
        sending = asyncio.ensure_future(limiter.acquire(160 * KIB))
        for _ in range(50):
            await asyncio.sleep(0.1)
            limiter.change(always(16 * KIB))
        assert limiter.meter.total == pytest.approx(5 * 16 * KIB, rel=0.25)
        await sending

    simulated(run())
