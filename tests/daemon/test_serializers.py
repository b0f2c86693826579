"""The control API shows the settings without secrets, and changes limits during uploads."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

from syncd.control.service import InvalidRequestError, Limits
from syncd.core.states import State
from tests.daemon.test_reload import collect_changes
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


async def test_settings_contain_no_secret(harness):
    secrets = ["s3cret-token", "s3cret-password", "s3cret-header", "s3cret-proxy"]
    token, password, header, proxy = secrets
    harness.settings["remotes"]["drive"] |= {
        "token": token,
        "encrypt_password": password,
        "headers": {"X-Key": header},
        "proxy": f"http://me:{proxy}@127.0.0.1:1",
    }
    await harness.start()
    shown = await harness.service.settings()
    assert shown["file"] == str(harness.path)
    assert shown["settings"]["remotes"]["drive"] | {"prefix": None} == shown["settings"]["remotes"]["drive"] | {
        "token": "••••",
        "encrypt_password": "••••",
        "headers": {"X-Key": "••••"},
        "proxy": "••••",
        "chunk_size": "64KiB",
        "prefix": None,
    }
    assert shown["settings"]["folders"][0]["settle"] == "50ms"
    text = json.dumps(shown)
    assert [secret for secret in secrets if secret in text] == []


async def test_limits_apply_until_next_reload(harness):
    await harness.start()

    async def live():
        return (await harness.service.settings())["live"]

    assert await live() == {"bandwidth": "unlimited", "concurrency": "auto", "changed": []}
    await harness.service.limit(Limits(concurrency=3))
    await harness.service.limit(Limits(bandwidth="2MiB/s"))
    assert await live() == {"bandwidth": "2MiB/s", "concurrency": 3, "changed": ["concurrency", "bandwidth"]}
    assert harness.daemon.runtime.bandwidth_limiter._limit() == 2 * MIB
    assert (await harness.service.settings())["settings"]["scheduler"]["bandwidth"] == "unlimited"
    assert await harness.reload() == ["scheduler.concurrency", "scheduler.bandwidth"]
    assert await live() == {"bandwidth": "unlimited", "concurrency": "auto", "changed": []}
    harness.settings["scheduler"]["bandwidth"] = [{"from": "6:00", "to": "22:00", "limit": "1MiB/s"}]
    await harness.reload()
    assert (await live())["bandwidth"] == "by timetable"


@pytest.mark.parametrize(
    "limits", [Limits(bandwidth="fast"), Limits(bandwidth="0"), Limits(concurrency=0), Limits(concurrency="many")]
)
async def test_limits_invalid_values_change_nothing(harness, limits):
    await harness.start()
    before = harness.daemon.runtime.limits
    with pytest.raises(InvalidRequestError, match=r"^(bandwidth|concurrency): "):
        await harness.service.limit(limits)
    assert harness.daemon.runtime.limits is before


@pytest.mark.parametrize("by", ["hand", "reload"])
async def test_limits_change_interrupts_no_request(harness, by):
    """The limits change from one slow request to no limit in the middle of a file."""
    harness.settings["scheduler"] |= {"concurrency": 1, "bandwidth": "100KiB/s"}
    harness.settings["remotes"]["drive"]["chunk_size"] = "1MiB"
    await harness.start()
    changes = collect_changes(harness)
    for number in range(3):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(3 * MIB, number))
    await wait_until(lambda: harness.daemon.runtime.bandwidth_limiter.meter.total > 0)
    async with asyncio.timeout(20):  # with the old limit, 90 s
        if by == "hand":
            await harness.service.limit(Limits(concurrency=8, bandwidth="unlimited"))
        else:
            harness.settings["scheduler"] |= {"concurrency": "auto", "bandwidth": "unlimited"}
            assert await harness.reload() == ["scheduler.concurrency", "scheduler.bandwidth"]
        await wait_until(lambda: sum(change.after is State.DONE for change in changes) == 3)
    for number in range(3):
        steps = [change.after.value for change in changes if change.path == f"{number}.jpg"]
        assert steps == ["queued", "uploading", "done"]
    assert (await harness.counters())["chunks_repeated"] == 0


async def test_limits_retry_applies_to_existing_remotes(harness):
    harness.settings["scheduler"]["retry"] = {"initial": "300s", "max": "300s"}
    await harness.start()
    (worker, *_) = harness.daemon.runtime.scheduler.workers.values()
    harness.settings["scheduler"]["retry"] = {"initial": "20ms", "max": "50ms"}
    assert await harness.reload() == ["scheduler.retry"]
    assert worker is next(iter(harness.daemon.runtime.scheduler.workers.values()))
    assert (worker.endpoint.breaker.policy.initial, worker.endpoint.breaker.policy.maximum) == (0.02, 0.05)


@pytest.mark.unix
async def test_timetable_uses_current_time_zone(harness, monkeypatch):
    """Eight hours further east, the span without bandwidth is over."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    hour = datetime.now(UTC).hour
    closed = {"from": f"{(hour - 2) % 24}:00", "to": f"{(hour + 4) % 24}:00", "limit": "off"}
    harness.settings["scheduler"]["bandwidth"] = [closed]
    try:
        await harness.start()
        bandwidth_limiter = harness.daemon.runtime.bandwidth_limiter
        assert bandwidth_limiter._limit() == 0
        monkeypatch.setenv("TZ", "XYZ-8")
        assert bandwidth_limiter._limit() is None
        (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
        await harness.wait_for_counts(done=1)
    finally:
        monkeypatch.undo()
        time.tzset()
