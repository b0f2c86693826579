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


async def test_sighup_burst_causes_few_reloads(harness):
    await harness.start()
    with capture_logs() as logs:
        for number in range(100):
            harness.settings["folders"][0]["rescan"] = f"{60 + number}s"
            harness.write()
            os.kill(os.getpid(), signal.SIGHUP)
        await wait_until(lambda: harness.daemon.loaded.config.folders[0].rescan == 159)
    assert 1 <= [line["event"] for line in logs].count("daemon.reloaded") <= 10


async def test_sighup_before_ready_reloads_later(harness):
    starting = asyncio.create_task(harness.start())
    await wait_until(lambda: harness.daemon and signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL)
    harness.settings["folders"][0]["rescan"] = "99s"
    harness.write()
    os.kill(os.getpid(), signal.SIGHUP)
    await starting
    await wait_until(lambda: harness.daemon.loaded.config.folders[0].rescan == 99)


async def test_sigterm_during_waiting_reload_ends_at_once(harness, caplog):
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


async def test_reload_overtaken_by_shutdown_is_refused(harness):
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


async def test_signals_previous_handlers_are_restored(harness):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    await harness.start()
    assert all(signal.getsignal(number) is not handler for number, handler in before.items())
    os.kill(os.getpid(), signal.SIGTERM)
    await wait_until(harness.daemon.shutdown_requested.is_set)
    await harness.stop()
    assert {number: signal.getsignal(number) for number in before} == before


async def test_sigterm_while_store_waits_for_disk_ends_at_once(harness, monkeypatch):
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
