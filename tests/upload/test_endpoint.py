"""Tests of an endpoint: how results of requests affect the requests that follow."""

import asyncio

import pytest

from syncd.core.breaker import Breaker, BreakerState
from syncd.core.concurrency import AdaptiveLimit, FixedLimit
from syncd.core.errors import Permanent, Scope, Transient
from syncd.core.retry import Policy
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
from tests.support.wait import wait_until
from tests.upload.fakes import FakeRemote

DOWN = Transient("connection refused", scope=Scope.REMOTE)


@pytest.fixture
def endpoint():
    return Endpoint(
        FakeRemote(latency=0), ConcurrencyLimiter(FixedLimit(8)), Breaker(Policy(), lambda: 0.0), clock=lambda: 5.0
    )


async def fail(endpoint, failure):
    with pytest.raises(type(failure)):
        async with endpoint.request("job"):
            raise failure


async def test_endpoint_half_open_permits_one_request_at_a_time(endpoint):
    await fail(endpoint, DOWN)
    assert endpoint.down
    await endpoint.probe()
    assert (endpoint.down, endpoint.limiter.capacity) == (False, 1)
    async with endpoint.request("job"):
        assert endpoint.limiter.capacity == 1
    assert endpoint.limiter.capacity == 8


async def test_endpoint_probe_in_flight_blocks_requests(endpoint):
    await fail(endpoint, DOWN)
    endpoint.remote.latency = 0.01
    probing = asyncio.create_task(endpoint.probe())
    await asyncio.sleep(0)
    with pytest.raises(Transient):
        async with endpoint.request("job"):
            pytest.fail("the server still counts as down")
    await probing
    assert not endpoint.down


async def test_endpoint_down_blocks_waiting_requests(endpoint):
    made = []

    async def ask(number):
        async with endpoint.request(number):
            made.append(number)
            await asyncio.sleep(0)
            raise DOWN

    await asyncio.gather(*(ask(number) for number in range(20)), return_exceptions=True)
    assert made == list(range(8))


async def test_endpoint_probe_failure_opens_other_response_does_not(endpoint):
    await fail(endpoint, DOWN)
    endpoint.remote.fail = lambda call, *about: DOWN
    await endpoint.probe()
    assert endpoint.down
    endpoint.remote.fail = lambda call, *about: Permanent("forbidden, but the server responds")
    await endpoint.probe()
    assert endpoint.breaker.state is BreakerState.HALF_OPEN


async def test_endpoint_overload_halves_the_limit(endpoint):
    endpoint.limiter.limit = AdaptiveLimit()
    before = endpoint.limiter.capacity
    await fail(endpoint, Transient("too busy", overload=True))
    assert endpoint.limiter.capacity == before // 2
    await fail(endpoint, Transient("reset"))
    assert endpoint.limiter.capacity == before // 2


async def test_endpoint_inconclusive_success_keeps_breaker_half_open(endpoint):
    await fail(endpoint, DOWN)
    await endpoint.probe()
    async with endpoint.request("job") as observation:
        observation.inconclusive = True
    assert endpoint.breaker.state is BreakerState.HALF_OPEN


PAGE = Transient("an HTML page", scope=Scope.REMOTE, if_reachable=Scope.FILE)


@pytest.mark.parametrize(("probe", "down"), [(None, False), (DOWN, True), (Permanent("forbidden"), False)])
async def test_endpoint_uncertain_scope_is_decided_by_check(endpoint, probe, down):
    endpoint.remote.fail = lambda call, *about: probe
    with pytest.raises(Transient) as caught:
        async with endpoint.request("job"):
            raise PAGE
    assert caught.value.scope is (Scope.REMOTE if down else Scope.FILE)
    assert endpoint.down is down
    assert str(endpoint.breaker.reason) == (str(PAGE) if down else "None")


async def test_endpoint_concurrent_failures_share_one_check(endpoint):
    async def ask(number):
        async with endpoint.request(number):
            raise PAGE

    endpoint.remote.latency = 0.01
    await asyncio.gather(*(ask(number) for number in range(3)), return_exceptions=True)
    assert endpoint.remote.count("check") == 1
    assert not endpoint.down


async def test_endpoint_sends_one_check_at_a_time(endpoint):
    """While a failure is being checked, the server goes down for another reason and is probed."""
    endpoint.remote.latency = 0.2

    async def ask():
        async with endpoint.request("job"):
            raise PAGE

    asking = asyncio.create_task(ask())
    await wait_until(lambda: endpoint.remote.in_flight)
    await fail(endpoint, DOWN)
    await endpoint.probe()
    await asyncio.gather(asking, return_exceptions=True)
    assert (endpoint.remote.count("check"), endpoint.remote.most_in_flight) == (2, 1)


async def test_endpoint_failed_probe_keeps_the_limit(endpoint):
    endpoint.limiter.limit = AdaptiveLimit()
    before = endpoint.limiter.capacity
    endpoint.remote.fail = lambda call, *about: Transient("too busy", scope=Scope.REMOTE, overload=True)
    await endpoint.ask()
    assert (endpoint.down, endpoint.limiter.capacity) == (True, before)


async def test_endpoint_reports_the_response_time_of_the_server(endpoint):
    """The wait for a slot is no part of it."""

    class RecordingLimit(FixedLimit):
        def finished(self, *, size, began, in_flight, now):
            times.append((began, now, in_flight))

    async def ask():
        async with endpoint.request("job"):
            endpoint.clock = lambda: endpoint_time + 2
            await asyncio.sleep(0)

    times, endpoint_time = [], 5.0
    endpoint.limiter.limit = RecordingLimit(1)
    async with endpoint.limiter.slot():
        waiting = asyncio.create_task(ask())
        await asyncio.sleep(0)
        endpoint_time = 100.0
        endpoint.clock = lambda: endpoint_time
    await waiting
    assert times == [(100.0, 102.0, 1)]
