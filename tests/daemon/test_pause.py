"""A pause with an end.

It ends automatically, also after a restart, a suspend, or a change of the clock.
"""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from syncd.asyncio_tools import background_task
from syncd.control.service import InvalidRequestError
from syncd.daemon import pause
from syncd.daemon.pause import Pause
from syncd.daemon.runtime import PAUSED_SETTING
from tests.support.data import random_bytes
from tests.support.wait import wait_until


def in_seconds(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_pause_with_end_survives_restart_and_ends(harness):
    await harness.start()
    end = in_seconds(3600).replace(microsecond=0)
    await harness.service.stop(now=False, until=end)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100))
    await harness.wait_for_counts(queued=1)
    await harness.stop()
    await harness.start()
    status = await harness.service.status()
    assert (status["state"], status["stopped_until"]) == ("stopped", end.isoformat())
    assert harness.service.daemon_event()["stopped_until"] == end.isoformat()
    await harness.wait_for_counts(queued=1)
    await harness.service.stop(now=False, until=in_seconds(0.2))
    await harness.wait_for_counts(done=1)
    await harness.stop()
    await harness.start()
    status = await harness.service.status()
    assert (status["state"], status["stopped_until"]) == ("running", None)


async def test_pause_whose_end_has_passed_ends_at_start(harness):
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100))
    await harness.service.stop(now=False)
    await harness.daemon.runtime.store.set_setting(PAUSED_SETTING, in_seconds(-60).isoformat())
    await harness.stop()
    await harness.start()
    await harness.wait_for_counts(done=1)
    assert await harness.daemon.runtime.store.get_setting(PAUSED_SETTING) == "no"


async def test_stop_without_end_replaces_end(harness):
    await harness.start()
    await harness.service.stop(now=False, until=in_seconds(3600))
    await harness.service.stop(now=False)
    assert (await harness.service.status())["stopped_until"] is None
    await harness.stop()
    await harness.start()
    status = await harness.service.status()
    assert (status["state"], status["stopped_until"]) == ("stopped", None)


async def test_start_ends_pause_before_its_end(harness):
    await harness.start()
    await harness.service.stop(now=False, until=in_seconds(3600))
    await harness.service.start()
    status = await harness.service.status()
    assert (status["state"], status["stopped_until"]) == ("running", None)


async def test_stop_refuses_end_in_past(harness):
    await harness.start()
    with pytest.raises(InvalidRequestError, match="until must be in the future"):
        await harness.service.stop(now=False, until=in_seconds(-1))
    assert (await harness.service.status())["state"] == "running"


async def test_pause_ends_when_clock_jumps(harness, monkeypatch):
    monkeypatch.setattr(pause, "CLOCK_CHECK_INTERVAL_SECONDS", 0.01)
    await harness.start()
    runtime, shown, failures = harness.daemon.runtime, SimpleNamespace(now=in_seconds(0)), []
    paused = Pause(runtime, harness.daemon.after_upload, now=lambda: shown.now)
    async with background_task(paused.run(), failed=failures.append):
        await paused.begin(now=False, until=shown.now + timedelta(hours=2))
        assert runtime.scheduler.paused
        shown.now += timedelta(hours=3)  # as after a suspend, which stops the clock of the event loop
        await wait_until(lambda: not runtime.scheduler.paused)
    assert failures == []
