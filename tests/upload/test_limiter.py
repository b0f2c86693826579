"""Tests of the concurrency limiter: its bound, its order, and cancelled tasks."""

import asyncio
import random

from syncd.core.concurrency import FixedLimit
from syncd.upload.limiter import ConcurrencyLimiter
from tests.simulation.event_loop import simulated


class SlotHolders:
    """Tasks that hold a slot until they are released; ``inside`` has their names in order."""

    def __init__(self):
        self.inside = []
        self.most = 0
        self._released = {}
        self._tasks = {}

    def start(self, limiter, *names, first=False):
        for name in names:
            self._released[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(limiter, name, first))

    async def _hold(self, limiter, name, first):
        async with limiter.slot(first=first):
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self._released[name].wait()
            finally:
                self.inside.remove(name)

    async def release(self, *names):
        for name in names:
            self._released[name].set()
        await asyncio.gather(*(self._tasks[name] for name in names))
        await run_ready_tasks()

    async def cancel(self, *names):
        for name in names:
            self._tasks[name].cancel()
        await asyncio.gather(*(self._tasks[name] for name in names), return_exceptions=True)
        await run_ready_tasks()


async def run_ready_tasks():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_limiter_grants_slots_in_order_of_arrival():
    limiter, holders = ConcurrencyLimiter(FixedLimit(2)), SlotHolders()
    holders.start(limiter, *"abcd")
    await run_ready_tasks()
    assert holders.inside == ["a", "b"]
    await holders.release("b")
    assert holders.inside == ["a", "c"]
    await holders.release("a", "c")
    assert holders.inside == ["d"]
    await holders.release("d")
    assert limiter.in_flight == 0


async def test_limiter_gives_every_second_slot_to_first():
    limiter, holders = ConcurrencyLimiter(FixedLimit(1)), SlotHolders()
    holders.start(limiter, *"abcd")
    holders.start(limiter, *"xyz", first=True)
    await run_ready_tasks()
    order = []
    while holders.inside:
        order += holders.inside
        await holders.release(order[-1])
    assert order == list("axbyczd")
    assert limiter.in_flight == 0


async def test_limiter_newcomer_does_not_overtake_waiters():
    limit = FixedLimit(1)
    limiter, holders = ConcurrencyLimiter(limit), SlotHolders()
    holders.start(limiter, "a", "b")
    await run_ready_tasks()
    limit.value = 2
    holders.start(limiter, "c")  # a slot is free, but b came first
    await run_ready_tasks()
    assert holders.inside == ["a"]
    await holders.release("a")
    assert holders.inside == ["b", "c"]
    await holders.release("b", "c")


async def test_limiter_cancelled_waiter_takes_no_slot():
    limiter, holders = ConcurrencyLimiter(FixedLimit(1)), SlotHolders()
    holders.start(limiter, *"abc")
    await run_ready_tasks()
    await holders.cancel("b")
    await holders.release("a")
    assert holders.inside == ["c"]
    await holders.release("c")
    assert limiter.in_flight == 0


async def test_limiter_waiter_cancelled_at_grant_passes_slot_on():
    limiter, holders = ConcurrencyLimiter(FixedLimit(1)), SlotHolders()
    holders.start(limiter, "a", "b", "c")
    await run_ready_tasks()
    holders._released["a"].set()
    await asyncio.sleep(0)  # b has the slot of a, but has not run yet
    assert holders.inside == []
    await holders.cancel("b")
    assert holders.inside == ["c"]
    await holders.release("c")
    assert limiter.in_flight == 0


async def test_limiter_cancelled_holder_releases_slot():
    limiter, holders = ConcurrencyLimiter(FixedLimit(1)), SlotHolders()
    holders.start(limiter, "a", "b")
    await run_ready_tasks()
    await holders.cancel("a")
    assert holders.inside == ["b"]
    await holders.release("b")


async def test_limiter_restricted_grants_one_slot():
    limiter, holders = ConcurrencyLimiter(FixedLimit(4)), SlotHolders()
    limiter.restrict_to_one(True)
    holders.start(limiter, *"abc")
    await run_ready_tasks()
    assert (limiter.capacity, holders.inside) == (1, ["a"])
    limiter.restrict_to_one(False)
    await run_ready_tasks()
    assert (limiter.capacity, holders.inside) == (4, ["a", "b", "c"])
    await holders.release(*"abc")


async def test_limiter_lower_limit_applies_as_slots_are_released():
    limit = FixedLimit(3)
    limiter, holders = ConcurrencyLimiter(limit), SlotHolders()
    holders.start(limiter, *"abcde")
    await run_ready_tasks()
    limit.value = 1
    await holders.release("a", "b")
    assert holders.inside == ["c"]
    await holders.release("c")
    assert holders.inside == ["d"]
    await holders.release("d", "e")


async def test_limiter_parent_bounds_all_children():
    parent = ConcurrencyLimiter(FixedLimit(2))
    left, right = ConcurrencyLimiter(FixedLimit(2), parent), ConcurrencyLimiter(FixedLimit(2), parent)
    assert left.capacity == 2
    holders = SlotHolders()
    holders.start(left, "a", "b")
    holders.start(right, "c", "d")
    await run_ready_tasks()
    assert holders.inside == ["a", "b"]
    await holders.cancel("c")  # it has a slot of its limiter and waits for one of the parent
    assert (right.in_flight, parent.in_flight) == (1, 2)
    await holders.release("a")
    assert holders.inside == ["b", "d"]
    await holders.release("b", "d")
    assert (left.in_flight, right.in_flight, parent.in_flight) == (0, 0, 0)


def test_limiter_random_use_loses_no_slot_and_grants_none_twice():
    """1000 tasks acquire, hold, are cancelled or fail at random while the limit changes."""

    async def use_randomly(seed):
        rng = random.Random(seed)
        limit = FixedLimit(3)
        parent = ConcurrencyLimiter(FixedLimit(4))
        limiters = [ConcurrencyLimiter(limit, parent), ConcurrencyLimiter(FixedLimit(2), parent)]
        inside = {id(limiter): 0 for limiter in [*limiters, parent]}

        async def hold(limiter):
            async with limiter.slot():
                for one in (limiter, parent):
                    inside[id(one)] += 1
                assert inside[id(limiters[1])] <= 2
                assert inside[id(parent)] <= 4
                try:
                    await asyncio.sleep(rng.choice([0, 0.1, 1]))
                finally:
                    for one in (limiter, parent):
                        inside[id(one)] -= 1

        tasks = []
        for _ in range(100):
            tasks.append(asyncio.create_task(hold(rng.choice(limiters))))
            limit.value = rng.randint(1, 4)
            rng.choice(limiters).restrict_to_one(rng.random() < 0.2)
            if rng.random() < 0.4:
                rng.choice(tasks).cancel()
            await asyncio.sleep(rng.choice([0, 0, 0.05]))
        for limiter in limiters:
            limiter.restrict_to_one(False)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [end for end in ended if end and not isinstance(end, asyncio.CancelledError)]
        assert [limiter.in_flight for limiter in [*limiters, parent]] == [0, 0, 0]

    for seed in range(10):
        simulated(use_randomly(seed))


async def test_limiter_change_grants_waiters_and_keeps_holders():
    shared = ConcurrencyLimiter(FixedLimit(1))
    limiter, holders = ConcurrencyLimiter(FixedLimit(1), shared), SlotHolders()
    holders.start(limiter, *"abcd")
    await run_ready_tasks()
    shared.change(FixedLimit(3))
    limiter.change(FixedLimit(3))
    await run_ready_tasks()
    assert holders.inside == ["a", "b", "c"]
    shared.change(FixedLimit(1))
    limiter.change(FixedLimit(1))
    await holders.release("a", "b")
    assert holders.inside == ["c"]
    await holders.release("c")
    assert holders.inside == ["d"]
    await holders.release("d")
    assert (limiter.in_flight, shared.in_flight) == (0, 0)
