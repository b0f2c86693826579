"""Messages are delivered in order, and tried again."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from syncd.core.retry import Policy
from syncd.notify import outbox
from syncd.notify.delivery import DeliveryError
from syncd.notify.message import Event, Message
from syncd.notify.outbox import MAX_MESSAGES, Outbox
from tests.support.wait import wait_until


class FakeTarget:
    """Fails ``failures`` times, then records messages."""

    name = "fake"

    def __init__(self, failures=0, error=None):
        self.failures = failures
        self.error = error or DeliveryError("refused")
        self.attempts = 0
        self.received = []
        self.hanging = None

    async def send(self, message):
        self.attempts += 1
        if self.hanging is not None:
            await self.hanging.wait()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.received.append(message.title)


def message(title):
    return Message(event=Event.ATTENTION, title=title, body="")


@pytest.fixture(autouse=True)
def fast_retry(monkeypatch):
    monkeypatch.setattr(outbox, "RETRY", Policy(initial=0.001, maximum=0.002))


@asynccontextmanager
async def running(target, delivered=lambda _: None):
    box = Outbox(target, delivered=delivered)
    task = asyncio.create_task(box.run())
    try:
        yield box
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_outbox_delivers_in_order():
    target, confirmed = FakeTarget(), []
    async with running(target, confirmed.append) as box:
        for title in "abc":
            box.put(message(title))
        await wait_until(lambda: len(confirmed) == 3)
    assert target.received == [of.title for of in confirmed] == ["a", "b", "c"]


@pytest.mark.parametrize("error", [DeliveryError("refused"), RuntimeError("a bug")])
async def test_outbox_failed_delivery_is_retried(error):
    target = FakeTarget(failures=30, error=error)
    async with running(target) as box:
        box.put(message("a"))
        box.put(message("b"))
        await wait_until(lambda: len(target.received) == 2)
    assert (target.received, target.attempts) == (["a", "b"], 32)


async def test_outbox_waits_grow_after_failures(monkeypatch):
    """The bounds of the random waits double, up to an hour."""
    waits = []

    def recorded(failures, policy, random):
        waits.append((failures, policy))
        return 0.0

    monkeypatch.setattr(outbox, "backoff", recorded)
    target = FakeTarget(failures=3)
    async with running(target) as box:
        box.put(message("a"))
        await wait_until(lambda: target.received)
    assert waits == [(number, outbox.RETRY) for number in (1, 2, 3)]


async def test_outbox_full_drops_oldest():
    target = FakeTarget()
    target.hanging = asyncio.Event()
    async with running(target) as box:
        for number in range(MAX_MESSAGES + 5):
            box.put(message(str(number)))
        await wait_until(lambda: target.attempts)
        target.hanging.set()
        await wait_until(lambda: str(MAX_MESSAGES + 4) in target.received)
    assert target.received == [str(number) for number in range(5, MAX_MESSAGES + 5)]


async def test_outbox_full_during_delivery_keeps_the_rest():
    """The message in delivery may be dropped from the queue; the next one is not."""
    target = FakeTarget()
    target.hanging = asyncio.Event()
    async with running(target) as box:
        box.put(message("first"))
        await wait_until(lambda: target.attempts)
        for number in range(MAX_MESSAGES):
            box.put(message(str(number)))
        target.hanging.set()
        await wait_until(lambda: len(target.received) == MAX_MESSAGES + 1)
    assert target.received == ["first", *map(str, range(MAX_MESSAGES))]
