"""The bound on requests in flight: never exceeded, never lost, first come, first served."""

import asyncio
import random

from syncd.core.concurrency import FixedLimit
from syncd.upload.limiter import ConcurrencyLimiter
from tests.simulation.event_loop import simulated


class Visitors:
    """Tasks that hold a slot until told to leave."""

    def __init__(self):
        self.inside = []
        self.most = 0
        self._leave = {}
        self._tasks = {}

    def send(self, limiter, *names):
        for name in names:
            self._leave[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._visit(limiter, name))

    async def _visit(self, limiter, name):
        async with limiter.slot():
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self._leave[name].wait()
            finally:
                self.inside.remove(name)

    async def leave(self, *names):
        for name in names:
            self._leave[name].set()
        await asyncio.gather(*(self._tasks[name] for name in names))
        await settled()

    async def cancel(self, *names):
        for name in names:
            self._tasks[name].cancel()
        await asyncio.gather(*(self._tasks[name] for name in names), return_exceptions=True)
        await settled()


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_so_many_pass_and_the_others_wait_in_line():
    limiter, visitors = ConcurrencyLimiter(FixedLimit(2)), Visitors()
    visitors.send(limiter, *"abcd")
    await settled()
    assert visitors.inside == ["a", "b"]
    await visitors.leave("b")
    assert visitors.inside == ["a", "c"]
    await visitors.leave("a", "c")
    assert visitors.inside == ["d"]
    await visitors.leave("d")
    assert limiter.in_flight == 0


async def test_nobody_passes_those_who_wait():
    limit = FixedLimit(1)
    limiter, visitors = ConcurrencyLimiter(limit), Visitors()
    visitors.send(limiter, "a", "b")
    await settled()
    limit.value = 2
    visitors.send(limiter, "c")  # there is room, and b was here before
    await settled()
    assert visitors.inside == ["a"]
    await visitors.leave("a")
    assert visitors.inside == ["b", "c"]
    await visitors.leave("b", "c")


async def test_one_who_gives_up_waiting_takes_no_slot_along():
    limiter, visitors = ConcurrencyLimiter(FixedLimit(1)), Visitors()
    visitors.send(limiter, *"abc")
    await settled()
    await visitors.cancel("b")
    await visitors.leave("a")
    assert visitors.inside == ["c"]
    await visitors.leave("c")
    assert limiter.in_flight == 0


async def test_one_who_gives_up_as_the_slot_is_given_passes_it_on():
    limiter, visitors = ConcurrencyLimiter(FixedLimit(1)), Visitors()
    visitors.send(limiter, "a", "b", "c")
    await settled()
    visitors._leave["a"].set()
    await asyncio.sleep(0)  # a leaves, and b's turn has come, but b has not run yet
    assert visitors.inside == []
    await visitors.cancel("b")
    assert visitors.inside == ["c"]
    await visitors.leave("c")
    assert limiter.in_flight == 0


async def test_one_who_fails_inside_leaves():
    limiter, visitors = ConcurrencyLimiter(FixedLimit(1)), Visitors()
    visitors.send(limiter, "a", "b")
    await settled()
    await visitors.cancel("a")
    assert visitors.inside == ["b"]
    await visitors.leave("b")


async def test_narrow_lets_one_through_at_a_time():
    limiter, visitors = ConcurrencyLimiter(FixedLimit(4)), Visitors()
    limiter.restrict_to_one(True)
    visitors.send(limiter, *"abc")
    await settled()
    assert (limiter.capacity, visitors.inside) == (1, ["a"])
    limiter.restrict_to_one(False)
    await settled()
    assert (limiter.capacity, visitors.inside) == (4, ["a", "b", "c"])
    await visitors.leave(*"abc")


async def test_a_smaller_limit_holds_as_soon_as_enough_have_left():
    limit = FixedLimit(3)
    limiter, visitors = ConcurrencyLimiter(limit), Visitors()
    visitors.send(limiter, *"abcde")
    await settled()
    limit.value = 1
    await visitors.leave("a", "b")
    assert visitors.inside == ["c"]
    await visitors.leave("c")
    assert visitors.inside == ["d"]
    await visitors.leave("d", "e")


async def test_a_parent_bounds_all_its_children_together():
    parent = ConcurrencyLimiter(FixedLimit(2))
    left, right = ConcurrencyLimiter(FixedLimit(2), parent), ConcurrencyLimiter(FixedLimit(2), parent)
    assert left.capacity == 2
    visitors = Visitors()
    visitors.send(left, "a", "b")
    visitors.send(right, "c", "d")
    await settled()
    assert visitors.inside == ["a", "b"]
    await visitors.cancel("c")  # in its own gate, and waiting at the parent
    assert (right.in_flight, parent.in_flight) == (1, 2)
    await visitors.leave("a")
    assert visitors.inside == ["b", "d"]
    await visitors.leave("b", "d")
    assert (left.in_flight, right.in_flight, parent.in_flight) == (0, 0, 0)


def test_whatever_happens_no_slot_is_lost_and_none_is_given_twice():
    """A thousand visitors who come, stay, give up and fail at random, while the limit changes."""

    async def crowd(seed):
        rng = random.Random(seed)
        limit = FixedLimit(3)
        parent = ConcurrencyLimiter(FixedLimit(4))
        gates = [ConcurrencyLimiter(limit, parent), ConcurrencyLimiter(FixedLimit(2), parent)]
        inside = {id(limiter): 0 for limiter in [*gates, parent]}

        async def visit(limiter):
            async with limiter.slot():
                for one in (limiter, parent):
                    inside[id(one)] += 1
                assert inside[id(gates[1])] <= 2
                assert inside[id(parent)] <= 4
                try:
                    await asyncio.sleep(rng.choice([0, 0.1, 1]))
                finally:
                    for one in (limiter, parent):
                        inside[id(one)] -= 1

        visits = []
        for _ in range(100):
            visits.append(asyncio.create_task(visit(rng.choice(gates))))
            limit.value = rng.randint(1, 4)
            rng.choice(gates).restrict_to_one(rng.random() < 0.2)
            if rng.random() < 0.4:
                rng.choice(visits).cancel()
            await asyncio.sleep(rng.choice([0, 0, 0.05]))
        for limiter in gates:
            limiter.restrict_to_one(False)
        ended = await asyncio.gather(*visits, return_exceptions=True)
        assert not [end for end in ended if end and not isinstance(end, asyncio.CancelledError)]
        assert [limiter.in_flight for limiter in [*gates, parent]] == [0, 0, 0]

    for seed in range(10):
        simulated(crowd(seed))


async def test_a_wider_limit_lets_those_in_who_wait_and_a_narrower_one_throws_nobody_out():
    shared = ConcurrencyLimiter(FixedLimit(1))
    limiter, visitors = ConcurrencyLimiter(FixedLimit(1), shared), Visitors()
    visitors.send(limiter, *"abcd")
    await settled()
    shared.change(FixedLimit(3))
    limiter.change(FixedLimit(3))
    await settled()
    assert visitors.inside == ["a", "b", "c"]
    shared.change(FixedLimit(1))
    limiter.change(FixedLimit(1))
    await visitors.leave("a", "b")
    assert visitors.inside == ["c"]
    await visitors.leave("c")
    assert visitors.inside == ["d"]
    await visitors.leave("d")
    assert (limiter.in_flight, shared.in_flight) == (0, 0)
