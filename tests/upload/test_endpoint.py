"""The way to a server: what its failures and successes do to the requests that follow."""

import asyncio

import pytest

from syncd.core.breaker import Breaker, BreakerState
from syncd.core.concurrency import AdaptiveLimit, FixedLimit
from syncd.core.errors import Permanent, Scope, Transient
from syncd.core.retry import Policy
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
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


async def test_after_a_probe_one_request_at_a_time_until_one_succeeds(endpoint):
    await fail(endpoint, DOWN)
    assert endpoint.down
    await endpoint.probe()
    assert (endpoint.down, endpoint.limiter.capacity) == (False, 1)
    async with endpoint.request("job"):
        assert endpoint.limiter.capacity == 1
    assert endpoint.limiter.capacity == 8


async def test_while_the_probe_has_no_answer_nothing_else_is_asked(endpoint):
    await fail(endpoint, DOWN)
    endpoint.remote.latency = 0.01
    probing = asyncio.create_task(endpoint.probe())
    await asyncio.sleep(0)
    with pytest.raises(Transient):
        async with endpoint.request("job"):
            pytest.fail("the server is still taken as down")
    await probing
    assert not endpoint.down


async def test_a_request_that_waited_while_the_server_went_down_is_not_made(endpoint):
    made = []

    async def ask(number):
        async with endpoint.request(number):
            made.append(number)
            await asyncio.sleep(0)
            raise DOWN

    await asyncio.gather(*(ask(number) for number in range(20)), return_exceptions=True)
    assert made == list(range(8))


async def test_a_probe_that_fails_opens_it_again_and_any_other_answer_will_do(endpoint):
    await fail(endpoint, DOWN)
    endpoint.remote.fail = lambda call, *about: DOWN
    await endpoint.probe()
    assert endpoint.down
    endpoint.remote.fail = lambda call, *about: Permanent("forbidden, but somebody is there")
    await endpoint.probe()
    assert endpoint.breaker.state is BreakerState.HALF_OPEN


async def test_an_overload_lowers_the_limit(endpoint):
    endpoint.limiter.limit = AdaptiveLimit()
    before = endpoint.limiter.capacity
    await fail(endpoint, Transient("too busy", overload=True))
    assert endpoint.limiter.capacity == before // 2
    await fail(endpoint, Transient("reset"))
    assert endpoint.limiter.capacity == before // 2


async def test_a_call_that_asked_for_nothing_says_nothing_about_the_server(endpoint):
    await fail(endpoint, DOWN)
    await endpoint.probe()
    async with endpoint.request("job") as lesson:
        lesson.inconclusive = True
    assert endpoint.breaker.state is BreakerState.HALF_OPEN


PAGE = Transient("an HTML page", scope=Scope.REMOTE, if_reachable=Scope.FILE)


@pytest.mark.parametrize(("probe", "down"), [(None, False), (DOWN, True), (Permanent("forbidden"), False)])
async def test_what_one_file_meets_is_the_servers_trouble_only_if_the_probe_fails_too(endpoint, probe, down):
    endpoint.remote.fail = lambda call, *about: probe
    with pytest.raises(Transient) as caught:
        async with endpoint.request("job"):
            raise PAGE
    assert caught.value.scope is (Scope.REMOTE if down else Scope.FILE)
    assert endpoint.down is down
    assert str(endpoint.breaker.reason) == (str(PAGE) if down else "None")


async def test_failures_of_the_same_moment_share_one_probe(endpoint):
    async def ask(number):
        async with endpoint.request(number):
            raise PAGE

    endpoint.remote.latency = 0.01
    await asyncio.gather(*(ask(number) for number in range(3)), return_exceptions=True)
    assert endpoint.remote.count("check") == 1
    assert not endpoint.down


async def test_there_is_one_probe_at_a_time(endpoint):
    """A failure asks for one, and the server is taken as down for another reason and probed meanwhile."""
    endpoint.remote.latency = 0.01

    async def ask():
        async with endpoint.request("job"):
            raise PAGE

    asking = asyncio.create_task(ask())
    async with asyncio.timeout(5):
        while not endpoint.remote.in_flight:
            await asyncio.sleep(0)
    await fail(endpoint, DOWN)
    await endpoint.probe()
    await asyncio.gather(asking, return_exceptions=True)
    assert (endpoint.remote.count("check"), endpoint.remote.most_in_flight) == (2, 1)
