"""Signals end or reload the daemon, and its signal handlers are removed at the end."""

import asyncio
import os
import signal

import pytest
from structlog.testing import capture_logs

from syncd.control.service import InvalidConfigError
from syncd.daemon.daemon import Daemon
from syncd.store.job_store import JobStore
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


async def test_a_hundred_hang_ups_at_once_are_few_reloads_and_the_last_change_counts(harness):
    await harness.start()
    with capture_logs() as logs:
        for number in range(100):
            harness.settings["folders"][0]["rescan"] = f"{60 + number}s"
            harness.write()
            os.kill(os.getpid(), signal.SIGHUP)
        await wait_until(lambda: harness.daemon.loaded.config.folders[0].rescan == 159)
    assert 1 <= [line["event"] for line in logs].count("daemon.reloaded") <= 10


async def test_a_hang_up_before_it_is_ready_is_heeded_then(harness):
    starting = asyncio.create_task(harness.start())
    await wait_until(lambda: harness.daemon and signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL)
    harness.settings["folders"][0]["rescan"] = "99s"
    harness.write()
    os.kill(os.getpid(), signal.SIGHUP)
    await starting
    await wait_until(lambda: harness.daemon.loaded.config.folders[0].rescan == 99)


async def test_a_reload_that_waits_for_an_upload_does_not_hold_up_the_end(harness, caplog):
    harness.settings["scheduler"]["bandwidth"] = "20KiB/s"
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))
    await wait_until(lambda: [one for one in harness.daemon.runtime.scheduler.progress() if one.stage == "sending"])
    harness.settings["remotes"]["drive"]["timeout"] = "59s"
    harness.write()
    os.kill(os.getpid(), signal.SIGHUP)
    await wait_until(lambda: "drive" not in harness.daemon.runtime.scheduler.workers)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(3):
        await harness.stop()
    assert "Unclosed" not in caplog.text


async def test_a_reload_that_is_overtaken_by_the_end_says_so(harness):
    harness.settings["scheduler"]["bandwidth"] = "20KiB/s"
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))
    await wait_until(lambda: [one for one in harness.daemon.runtime.scheduler.progress() if one.stage == "sending"])
    for remote in harness.settings["remotes"].values():
        remote["timeout"] = "59s"
    reloading = asyncio.create_task(harness.reload())
    await wait_until(lambda: "drive" not in harness.daemon.runtime.scheduler.workers)
    harness.daemon.request_shutdown()
    for late in (reloading, harness.service.reload()):
        with pytest.raises(InvalidConfigError) as refused:
            await late
        assert "ending" in refused.value.problems[0]
    await harness.stop()


async def test_whoever_handled_signals_before_does_so_again(harness):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    await harness.start()
    assert all(signal.getsignal(number) is not handler for number, handler in before.items())
    os.kill(os.getpid(), signal.SIGTERM)
    await wait_until(harness.daemon.shutdown_requested.is_set)
    await harness.stop()
    assert {number: signal.getsignal(number) for number in before} == before


async def test_a_store_that_waits_for_the_disk_does_not_hold_up_the_end(harness, monkeypatch):
    opening = asyncio.Event()

    async def blocked(_store, _owner):
        opening.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(JobStore, "recover", blocked)
    running = asyncio.create_task(Daemon(harness.write()).run())
    async with asyncio.timeout(5):
        await opening.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await running
