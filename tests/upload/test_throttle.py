"""The pace of all uploads together, in simulated time."""

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

KIB = 1024
START = datetime(2030, 6, 1, 7, 0)  # noqa: DTZ001 - a timetable is in local time


def always(limit):
    return [Span(start=0, end=DAY, limit=limit)]


def pace_of(timetable):
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


def test_without_a_limit_nothing_waits():
    async def run():
        bandwidth_limiter = pace_of([])
        assert await seconds(bandwidth_limiter.acquire(10**12)) == 0
        assert bandwidth_limiter.meter.total == 10**12

    simulated(run())


@pytest.mark.parametrize("senders", [1, 7])
def test_all_senders_together_keep_to_the_limit(senders):
    async def run():
        bandwidth_limiter = pace_of(always(100 * KIB))
        took = await seconds(*(bandwidth_limiter.acquire(1000 * KIB) for _ in range(senders)))
        assert took == pytest.approx(10 * senders, rel=0.03)
        assert bandwidth_limiter.meter.total == senders * 1000 * KIB

    simulated(run())


def test_never_more_than_the_burst_ahead():
    async def run():
        rate = 64 * KIB
        bandwidth_limiter = pace_of(always(rate))
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(3600)  # what was not used is not saved up
        began = clock()
        sending = asyncio.gather(*(bandwidth_limiter.acquire(300 * KIB) for _ in range(4)))
        while not sending.done():
            assert bandwidth_limiter.meter.total <= rate * (clock() - began + BURST) + 4 * PIECE_BYTES
            await asyncio.sleep(0.05)
        await sending

    simulated(run())


def test_a_closed_line_opens_by_the_timetable():
    async def run():
        bandwidth_limiter = pace_of([Span(start=6 * 60, end=8 * 60, limit=0.0), Span(start=0, end=DAY, limit=None)])
        assert 3600 <= await seconds(bandwidth_limiter.acquire(10 * KIB)) <= 3600 + MAX_PAUSE_SECONDS
        assert await seconds(bandwidth_limiter.acquire(10**9)) == 0

    simulated(run())


@pytest.mark.parametrize("before", [0.0, 1.0, 1 * KIB])
def test_a_change_is_noticed_by_those_who_wait(before):
    """At one byte a second a piece waits for hours; nobody who lifts the limit wants to wait them out."""

    async def run():
        bandwidth_limiter = pace_of(always(before))
        waiting = asyncio.gather(*(bandwidth_limiter.acquire(PIECE_BYTES) for _ in range(50)))
        await asyncio.sleep(12)
        assert not waiting.done()
        bandwidth_limiter.change([])
        assert await seconds(waiting) <= MAX_PAUSE_SECONDS

    simulated(run())


def test_a_change_to_another_rate_holds_for_those_who_wait():
    async def run():
        bandwidth_limiter = pace_of(always(1 * KIB))
        waiting = asyncio.gather(
            *(bandwidth_limiter.acquire(PIECE_BYTES) for _ in range(64))
        )  # a thousand seconds' worth
        await asyncio.sleep(12)
        sent = bandwidth_limiter.meter.total
        bandwidth_limiter.change(always(64 * KIB))
        left = 64 * PIECE_BYTES - sent
        took = await seconds(waiting)
        assert left / (64 * KIB) - 2 <= took <= left / (64 * KIB) + MAX_PAUSE_SECONDS + 1

    simulated(run())


def test_a_lower_limit_holds_too():
    async def run():
        bandwidth_limiter = pace_of(always(1024 * KIB))
        sending = asyncio.gather(*(bandwidth_limiter.acquire(10 * 1024 * KIB) for _ in range(4)))
        await asyncio.sleep(5)
        bandwidth_limiter.change(always(10 * KIB))
        await asyncio.sleep(MAX_PAUSE_SECONDS)
        before = bandwidth_limiter.meter.total
        await asyncio.sleep(100)
        assert bandwidth_limiter.meter.total - before <= 100 * 10 * KIB * 1.05 + 4 * PIECE_BYTES
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    simulated(run())


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_meter_tells_the_rate_of_the_last_seconds():
    clock = Clock()
    meter = Meter(clock)
    assert meter.rate() == 0
    for _ in range(1000):
        clock.now += 0.01
        meter.count(500)
    assert meter.total == 500_000
    assert meter.rate() == pytest.approx(50_000, rel=0.05)
    clock.now += RATE_WINDOW_SECONDS / 2
    assert meter.rate() == pytest.approx(25_000, rel=0.1)
    clock.now += RATE_WINDOW_SECONDS
    assert meter.rate() == 0
    assert meter.total == 500_000


def test_the_meter_is_not_dazzled_by_its_first_bytes():
    clock = Clock()
    meter = Meter(clock)
    meter.count(1000)
    assert meter.rate() == 2000  # as over half a second, not over none


def test_the_meter_remembers_little():
    clock = Clock()
    meter = Meter(clock)
    for _ in range(100_000):
        clock.now += 0.001
        meter.count(1)
    assert len(meter._recent) <= RATE_WINDOW_SECONDS * 10 + 2


def test_the_chart_has_every_step():
    clock = Clock()
    meter = Meter(clock)
    assert meter.history.sums() == [0]
    meter.count(1)
    meter.count(2)
    clock.now += STEP_SECONDS
    meter.count(4)
    clock.now += 3 * STEP_SECONDS  # nobody looks and nothing is sent meanwhile
    assert meter.history.sums() == [3, 4, 0, 0, 0]
    meter.count(8)
    assert meter.history.sums() == [3, 4, 0, 0, 8]


def test_the_chart_keeps_six_hours():
    clock = Clock()
    meter = Meter(clock)
    meter.count(1)
    clock.now += (STEPS - 1) * STEP_SECONDS
    meter.count(2)
    assert STEPS * STEP_SECONDS == 6 * 3600
    assert meter.history.sums() == [1, *[0] * (STEPS - 2), 2]
    clock.now += STEP_SECONDS
    assert meter.history.sums() == [*[0] * (STEPS - 2), 2, 0]
    clock.now += 365 * 86_400
    assert meter.history.sums() == [0] * STEPS


def test_who_waits_goes_by_another_limit_at_once():
    async def run():
        bandwidth_limiter = pace_of(always(1 * KIB))
        sending = asyncio.gather(*(bandwidth_limiter.acquire(100 * KIB) for _ in range(3)))
        await asyncio.sleep(1)
        assert await seconds(change(bandwidth_limiter, []), sending) == 0

    async def change(bandwidth_limiter, timetable):
        bandwidth_limiter.change(timetable)

    simulated(run())


def test_a_change_that_changes_nothing_now_does_not_cut_the_wait_short():
    async def run():
        bandwidth_limiter = pace_of(always(16 * KIB))
        sending = asyncio.ensure_future(bandwidth_limiter.acquire(160 * KIB))
        for _ in range(50):
            await asyncio.sleep(0.1)
            bandwidth_limiter.change(always(16 * KIB))
        assert bandwidth_limiter.meter.total == pytest.approx(5 * 16 * KIB, rel=0.25)
        await sending

    simulated(run())
