"""The task that connects status, tracker, outboxes and pings."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from syncd import localtime
from syncd.core.retry import Policy
from syncd.notify import notifier, outbox, tracker
from syncd.notify.delivery import DeliveryError
from syncd.notify.notifier import Notifier, NotifyState, parse_state
from syncd.notify.summary import Results
from tests.notify.support import settings, status
from tests.support.wait import wait_until

FAILED = {"jobs": {"failed": 1}}


class FakeSource:
    def __init__(self):
        self.results = Results(since=time.time(), last_upload=time.time())
        self.document = status()
        self.polls = 0
        self.saved = None
        self.error = None

    async def status(self):
        self.polls += 1
        if self.error:
            raise self.error
        return self.document

    async def load(self):
        return self.saved

    async def save(self, text):
        self.saved = text


class FakeTarget:
    def __init__(self, name="fake"):
        self.name = name
        self.received = []
        self.failing = False
        self.hanging = None

    @property
    def titles(self):
        return [message.title for message in self.received]

    async def send(self, message):
        if self.hanging is not None:
            await self.hanging.wait()
        if self.failing:
            raise DeliveryError("refused")
        self.received.append(message)


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def targets(monkeypatch):
    """The targets of every configuration."""
    found = [FakeTarget()]
    monkeypatch.setattr(notifier, "make_targets", lambda _: found)
    monkeypatch.setattr(notifier, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(tracker, "GATHER_SECONDS", 0.02)
    monkeypatch.setattr(tracker, "RESTORED_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "RETRY", Policy(initial=0.001, maximum=0.002))
    return found


def quick(**values):
    return settings(min_interval="1s", **values).model_copy(update={"min_interval": 0.05})


@asynccontextmanager
async def running(source, configured=None):
    made = Notifier(configured or quick(), source, host="nas")
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def polled(source, times=20):
    """Return after the state was read this number of times more."""
    wanted = source.polls + times
    await wait_until(lambda: source.polls >= wanted)


async def test_notifier_reports_start_and_end(source, targets):
    async with running(source):
        source.document = status(**FAILED)
        await wait_until(lambda: targets[0].received)
        await polled(source)
        source.document = status()
        await wait_until(lambda: len(targets[0].received) == 2)
        await polled(source)
    assert targets[0].titles == [
        "syncd on nas needs attention: 1 failed upload",
        "syncd on nas: resolved: 1 failed upload",
    ]


async def test_notifier_recovered_off_reports_only_start(source, targets):
    async with running(source, quick(recovered=False)):
        for _ in range(2):
            source.document = status(**FAILED)
            before = len(targets[0].received)
            await wait_until(lambda before=before: len(targets[0].received) > before)
            source.document = status()
            await polled(source)
    assert set(targets[0].titles) == {"syncd on nas needs attention: 1 failed upload"}


async def test_notifier_restart_repeats_nothing(source, targets):
    source.document = status(**FAILED)
    async with running(source):
        await wait_until(lambda: source.saved)
    async with running(source):
        await polled(source)
    assert len(targets[0].received) == 1
    source.document = status()
    async with running(source):
        await wait_until(lambda: len(targets[0].received) == 2)
    assert targets[0].titles[1] == "syncd on nas: resolved: 1 failed upload"


async def test_notifier_undelivered_report_survives_restart(source, targets):
    source.document = status(**FAILED)
    targets[0].failing = True
    async with running(source):
        await polled(source)
    assert source.saved is None
    targets[0].failing = False
    async with running(source):
        await wait_until(lambda: targets[0].received)


async def test_notifier_hanging_target_delays_no_other(source, targets):
    targets.append(FakeTarget("other"))
    targets[0].hanging = asyncio.Event()
    async with running(source):
        source.document = status(**FAILED)
        await wait_until(lambda: len(targets[1].received) == 1)
        source.document = status()
        await wait_until(lambda: len(targets[1].received) == 2)
    assert targets[0].received == []


async def test_notifier_failed_status_is_survived(source, targets):
    source.error = RuntimeError("a bug")
    async with running(source):
        await polled(source, 3)
        source.error = None
        source.document = status(**FAILED)
        await wait_until(lambda: targets[0].received)


async def test_notifier_configure_adds_and_removes_targets(source, targets):
    source.document = status(**FAILED)
    only = targets.pop()
    async with running(source) as made:
        await asyncio.sleep(0.05)
        assert source.polls == 0  # without a target, nothing is read
        targets.append(only)
        made.configure(quick())
        await wait_until(lambda: only.received)
        targets.clear()
        made.configure(quick())
        source.document = status()
        await asyncio.sleep(0.1)
    assert len(only.received) == 1


async def test_notifier_without_target_keeps_conditions_for_later(source, targets, server):
    """A target that is added while only the ping is configured gets the conditions."""
    source.document = status(**FAILED)
    only = targets.pop()
    pinging = quick(ping={"url": server.url})
    async with running(source, pinging) as made:
        await wait_until(lambda: "/fail" in server.paths)
        await polled(source)
        targets.append(only)
        made.configure(pinging)
        await wait_until(lambda: only.received)


async def test_notifier_pings_state(source, targets, server):
    async with running(source, quick(ping={"url": server.url + "/a"})):
        await wait_until(lambda: server.paths == ["/a"])
        source.document = status(**FAILED)
        await wait_until(lambda: server.paths == ["/a", "/a/fail"])
        source.document = status()
        await wait_until(lambda: server.paths == ["/a", "/a/fail", "/a"])


async def test_notifier_idle_is_reported(source, targets):
    source.results.last_upload = time.time() - 7200
    async with running(source, quick(idle_after="2h")):
        await wait_until(lambda: targets[0].received)
        source.results.last_upload = time.time()
        await wait_until(lambda: len(targets[0].received) == 2)
    assert targets[0].titles[0] == "syncd on nas needs attention: no upload has ended for 2h"


async def test_notifier_sends_summary_once_a_day(source, targets, monkeypatch):
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(localtime, "now", lambda: now)
    source.results.uploaded = 3
    daily = quick(daily_summary="08:00")
    async with running(source, daily):
        await polled(source)
        assert targets[0].received == []  # that of the first day was due before the start
        now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
        await wait_until(lambda: targets[0].received)
        await polled(source)
    assert targets[0].titles == ["syncd on nas: 3 uploads completed, 0 uploads to do"]
    assert source.results.uploaded == 0
    async with running(source, daily):
        await polled(source)
        assert len(targets[0].received) == 1
        now = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)  # after a suspend
        await wait_until(lambda: len(targets[0].received) == 2)


@pytest.mark.parametrize("text", [None, "", "{}", "[1, 2, 3]", "null", "[{}]", '["a", 1, 1]'])
def test_parse_state_other_text_is_empty(text):
    assert parse_state(text) == NotifyState()


def test_parse_state_returns_saved_state():
    state = NotifyState(reported={"a": "b"}, summary_date="2026-03-02", summary_minute=480)
    assert parse_state(state.to_json()) == state
