"""SIGTERM ends the daemon within 5 s with exit code 0 at any time; SIGHUP never ends it."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.faults.churn import KIB, MIB
from tests.faults.conftest import full_only
from tests.faults.proxy import Fault
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

SHUTDOWN_TIMEOUT_SECONDS = 5.0


def end(daemon, *, signals=1):
    """Send SIGTERM ``signals`` times and assert a clean exit; return its duration in seconds."""
    began = time.monotonic()
    for _ in range(signals):
        daemon.child.send_signal(signal.SIGTERM)
    code = daemon.child.wait(SHUTDOWN_TIMEOUT_SECONDS)
    seconds = time.monotonic() - began
    daemon.kill()
    log = daemon.log.read_text()
    assert code == 0, log[-2000:]
    assert "Traceback" not in log
    assert not daemon.events("daemon.failed") + daemon.events("job.crashed")
    return seconds


def importing(daemon):
    """Return whether the daemon imports its own modules, which takes most of a start's time.

    A preloaded process has the modules before it has signal handlers, so it is not accepted.
    """
    assert not daemon.preload
    assert daemon.is_running(), daemon.log.read_text()
    return "pydantic_core" in Path(f"/proc/{daemon.child.pid}/maps").read_text()


def drop(daemon, files, size=3 * KIB):
    for number in range(files):
        (daemon.inbox / f"{number}.jpg").write_bytes(random.Random(number).randbytes(size))


def test_shutdown_at_any_time_of_start_is_clean(daemon, scale):
    daemon.preload = False
    rng = random.Random(5)
    drop(daemon, 100)
    for number in range(scale(4, 60)):
        daemon.start(wait=False)
        wait_until_sync(lambda: importing(daemon), "the start is under way")
        if number % 2:
            wait_until_sync(daemon.is_ready, "it is up")
        if number:
            time.sleep(rng.uniform(0, 0.6))  # a random time, not a wait for a condition
        end(daemon, signals=1 + number % 3)
    daemon.start()
    daemon.wait_for_counts(done=200)
    assert end(daemon) < SHUTDOWN_TIMEOUT_SECONDS


def test_shutdown_during_hash_is_not_delayed(daemon):
    with (daemon.inbox / "giant.tif").open("wb") as file:
        file.truncate(9 * 1024 * MIB)
    daemon.start()
    daemon.wait_for_counts(uploading=2)
    end(daemon)


def test_shutdown_during_slow_upload_is_not_delayed(daemon):
    daemon.settings["scheduler"]["bandwidth"] = "50KiB/s"
    drop(daemon, 20, 2 * MIB)
    daemon.start()
    wait_until_sync(lambda: daemon.client.status()["bytes"]["sent"] > 0, "it is sending")
    end(daemon, signals=2)


@pytest.mark.parametrize("fault", [Fault.STALL_BODY, pytest.param(Fault.STALL_ANSWER, marks=full_only)])
def test_shutdown_while_server_stalls_is_not_delayed(daemon, proxy, fault):
    proxy.odds, proxy.stall = {fault: 1}, 60
    for remote in daemon.settings["remotes"].values():
        remote["timeout"] = "60s"
    drop(daemon, 20, 200 * KIB)
    daemon.start()
    wait_until_sync(lambda: len(proxy.injected()) and len(proxy.requests) >= 2, "requests hang")
    end(daemon)
    proxy.odds = {}
    daemon.start()
    daemon.wait_for_counts(done=40)


def test_shutdown_repeated_signals_change_nothing(daemon):
    """A second SIGTERM or a SIGHUP during the shutdown changes nothing."""
    drop(daemon, 20, 2 * MIB)
    daemon.settings["scheduler"]["bandwidth"] = "1MiB/s"
    daemon.start()
    daemon.child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT_SECONDS
    while daemon.is_running():
        assert time.monotonic() < deadline
        daemon.child.send_signal(signal.SIGTERM)
        daemon.child.send_signal(signal.SIGHUP)
        time.sleep(0.001)
    assert daemon.child.returncode == 0


def test_sighup_storm_applies_last_change(daemon, scale):
    """The configuration changes repeatedly: workers and folders are replaced during uploads."""
    daemon.preload = False
    drop(daemon, 40, 200 * KIB)
    daemon.settings["scheduler"]["bandwidth"] = "8MiB/s"
    daemon.start(wait=False)
    wait_until_sync(lambda: importing(daemon), "the start is under way")
    for number in range(scale(100, 2000)):
        change_and_reload(daemon, number)
        time.sleep(0.005)
    (daemon.inbox.parent / "later").mkdir()
    wait_until_sync(daemon.is_ready, "it is up")
    daemon.settings["folders"][0]["rescan"] = "2h"
    daemon.settings["folders"].append({"path": "later", "remote": "drive"})
    change_and_reload(daemon, 0)
    wait_until_sync(lambda: len(daemon.client.status()["folders"]) == 2, "the last change is applied")
    daemon.wait_for_counts(done=80)
    for number in range(20):
        change_and_reload(daemon, number)
    end(daemon)


def change_and_reload(daemon, number):
    """Change the configuration file and send SIGHUP."""
    daemon.settings["remotes"]["ascii"]["chunk_size"] = f"{64 + number % 5}KiB"
    part = daemon.config.with_suffix(".part")
    part.write_text(yaml.safe_dump(daemon.settings))
    os.replace(part, daemon.config)
    daemon.child.send_signal(signal.SIGHUP)


@full_only
def test_shutdown_during_reload_is_not_delayed(daemon):
    """A reload that waits for a slow upload does not delay the shutdown."""
    daemon.settings["scheduler"]["bandwidth"] = "50KiB/s"
    drop(daemon, 20, 2 * MIB)
    daemon.start()
    wait_until_sync(lambda: daemon.client.status()["bytes"]["sent"] > 0, "it is sending")
    change_and_reload(daemon, 1)
    wait_until_sync(
        lambda: "ascii" not in {remote["name"] for remote in daemon.client.status()["remotes"]}, "it is being replaced"
    )
    end(daemon)
