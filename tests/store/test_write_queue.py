"""The queue of the writer: which calls wait for others, and for how long."""

import asyncio
import threading

import pytest

from syncd.store import write_queue
from syncd.store.write_queue import LOAD_CALLS, WriteCall, WriteQueue

LONG = 600.0
"""Seconds that no test may take."""
SOON = 30.0


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(write_queue, "GATHER_SECONDS", LONG)
    return WriteQueue()


def call(name, *, patient=False):
    return WriteCall(work=list, argument=name, then=None, answer=asyncio.Future(), patient=patient)


def names(batch):
    return [one.argument for one in batch]


def put_under_load(queue):
    """Leave the queue empty and under load."""
    for number in range(2 * LOAD_CALLS):
        queue.put(call(number))
    queue.take(LONG)


class Taker:
    """Takes one batch in a thread."""

    def __init__(self, queue):
        self.batch = None
        self._thread = threading.Thread(target=self._take, args=(queue,), daemon=True)
        self._thread.start()

    def _take(self, queue):
        self.batch = queue.take(LONG)

    def result(self):
        self._thread.join(SOON)
        assert self.batch is not None
        return names(self.batch)

    def is_waiting(self):
        self._thread.join(0.05)
        return self._thread.is_alive()


async def test_take_idle_writer_gets_patient_call_at_once(queue):
    queue.put(call("a", patient=True))
    assert Taker(queue).result() == ["a"]


async def test_take_patient_calls_wait_for_an_urgent_one(queue):
    put_under_load(queue)
    taker = Taker(queue)
    for name in "abc":
        queue.put(call(name, patient=True))
        assert taker.is_waiting()
    queue.put(call("urgent"))
    assert taker.result() == ["a", "b", "c", "urgent"]


async def test_take_patient_calls_wait_only_for_a_time(queue, monkeypatch):
    monkeypatch.setattr(write_queue, "GATHER_SECONDS", 0.01)
    put_under_load(queue)
    queue.put(call("a", patient=True))
    assert names(queue.take(LONG)) == ["a"]


async def test_take_closed_queue_returns_the_rest_and_then_nothing(queue):
    put_under_load(queue)
    queue.put(call("a", patient=True))
    taker = Taker(queue)
    assert taker.is_waiting()
    queue.close()
    assert taker.result() == ["a"]
    assert queue.take(LONG) == []
    assert not queue.put(call("late"))


async def test_take_empty_queue_returns_none_after_timeout(queue):
    assert queue.take(0.01) is None
    assert not queue.wait_closed(0.01)


async def test_take_urgent_calls_left_over_by_a_full_batch_do_not_wait(queue, monkeypatch):
    monkeypatch.setattr(write_queue, "MAX_BATCH_CALLS", LOAD_CALLS * 2)
    for number in range(2 * LOAD_CALLS + 1):
        queue.put(call(number))
    assert len(Taker(queue).result()) == 2 * LOAD_CALLS
    assert Taker(queue).result() == [2 * LOAD_CALLS]
