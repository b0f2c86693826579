"""The way to a server: what its failures and successes do to the requests that follow."""

import asyncio

import pytest

from syncd.core.breaker import Breaker, BreakerState
from syncd.core.concurrency import AdaptiveLimit, FixedLimit
from syncd.core.errors import Permanent, Scope, Transient
from syncd.core.retry import Policy
from syncd.engine.gate import Gate
from syncd.engine.line import Line
from tests.engine.fakes import FakeRemote

DOWN = Transient("connection refused", scope=Scope.REMOTE)


@pytest.fixture
def line():
    return Line(FakeRemote(latency=0), Gate(FixedLimit(8)), Breaker(Policy(), lambda: 0.0), clock=lambda: 5.0)


async def fail(line, failure):
    with pytest.raises(type(failure)):
        async with line.request("job"):
            raise failure


async def test_after_a_probe_one_request_at_a_time_until_one_succeeds(line):
    await fail(line, DOWN)
    assert line.down
    await line.probe()
    assert (line.down, line.gate.capacity) == (False, 1)
    async with line.request("job"):
        assert line.gate.capacity == 1
    assert line.gate.capacity == 8


async def test_while_the_probe_has_no_answer_nothing_else_is_asked(line):
    await fail(line, DOWN)
    line.remote.latency = 0.01
    probing = asyncio.create_task(line.probe())
    await asyncio.sleep(0)
    with pytest.raises(Transient):
        async with line.request("job"):
            pytest.fail("the server is still taken as down")
    await probing
    assert not line.down


async def test_a_request_that_waited_while_the_server_went_down_is_not_made(line):
    made = []

    async def ask(number):
        async with line.request(number):
            made.append(number)
            await asyncio.sleep(0)
            raise DOWN

    await asyncio.gather(*(ask(number) for number in range(20)), return_exceptions=True)
    assert made == list(range(8))


async def test_a_probe_that_fails_opens_it_again_and_any_other_answer_will_do(line):
    await fail(line, DOWN)
    line.remote.fail = lambda call, *about: DOWN
    await line.probe()
    assert line.down
    line.remote.fail = lambda call, *about: Permanent("forbidden, but somebody is there")
    await line.probe()
    assert line.breaker.position is BreakerState.HALF_OPEN


async def test_an_overload_lowers_the_limit(line):
    line.gate.limit = AdaptiveLimit()
    before = line.gate.capacity
    await fail(line, Transient("too busy", overload=True))
    assert line.gate.capacity == before // 2
    await fail(line, Transient("reset"))
    assert line.gate.capacity == before // 2


async def test_a_call_that_asked_for_nothing_says_nothing_about_the_server(line):
    await fail(line, DOWN)
    await line.probe()
    async with line.request("job") as lesson:
        lesson.moot = True
    assert line.breaker.position is BreakerState.HALF_OPEN


PAGE = Transient("an HTML page", scope=Scope.REMOTE, if_reachable=Scope.FILE)


@pytest.mark.parametrize(("probe", "down"), [(None, False), (DOWN, True), (Permanent("forbidden"), False)])
async def test_what_one_file_meets_is_the_servers_trouble_only_if_the_probe_fails_too(line, probe, down):
    line.remote.fail = lambda call, *about: probe
    with pytest.raises(Transient) as caught:
        async with line.request("job"):
            raise PAGE
    assert caught.value.scope is (Scope.REMOTE if down else Scope.FILE)
    assert line.down is down
    assert str(line.breaker.reason) == (str(PAGE) if down else "None")


async def test_failures_of_the_same_moment_share_one_probe(line):
    async def ask(number):
        async with line.request(number):
            raise PAGE

    line.remote.latency = 0.01
    await asyncio.gather(*(ask(number) for number in range(3)), return_exceptions=True)
    assert line.remote.count("check") == 1
    assert not line.down


async def test_there_is_one_probe_at_a_time(line):
    """A failure asks for one, and the server is taken as down for another reason and probed meanwhile."""
    line.remote.latency = 0.01

    async def ask():
        async with line.request("job"):
            raise PAGE

    asking = asyncio.create_task(ask())
    async with asyncio.timeout(5):
        while not line.remote.in_flight:
            await asyncio.sleep(0)
    await fail(line, DOWN)
    await line.probe()
    await asyncio.gather(asking, return_exceptions=True)
    assert (line.remote.count("check"), line.remote.most_in_flight) == (2, 1)
