"""A long run under light load: memory, threads and open files do not grow."""

import os
import statistics
import time
from collections import Counter
from functools import partial

import pytest

from tests.faults import procfs
from tests.faults.churn import KIB, Text
from tests.faults.conftest import FULL
from tests.faults.proxy import UNRELIABLE_NETWORK
from tests.faults.test_shutdown import end
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

WARM_UP_ROUNDS = 2
"""Rounds after which all objects that are created once exist."""
MAX_GROWTH_KIB = 4 * KIB
"""Allowed difference of the memory between early and late rounds, in KiB."""
MAX_THREADS = 6 + 4 + min(32, (os.cpu_count() or 1) + 4)
"""The main thread, two of the store, three of the watches, four of uvloop, and asyncio's default executor."""


def test_long_run_leaks_nothing(daemon, proxy):
    """Create, change and delete files and folders over an unreliable connection, in rounds.

    After each round the daemon becomes idle, and its resources are counted.
    """
    daemon.preload = False  # its memory is measured
    daemon.settings["folders"][0]["rescan"] = "2s"
    daemon.settings["scheduler"]["retry"] = {"initial": "20ms", "max": "100ms"}
    daemon.start()
    deadline = time.monotonic() + 60 * float(os.environ.get("FAULTS_MINUTES", "2" if FULL else "0"))
    number, memory, opened = 0, [], None
    while time.monotonic() < deadline or len(memory) < 8:
        number = run_round(daemon, proxy, number)
        if len(memory) >= WARM_UP_ROUNDS:
            wait_until_sync(partial(is_nothing_more_open, daemon, opened), partial(procfs.descriptors, daemon), 30)
        elif len(memory) == WARM_UP_ROUNDS - 1:
            opened = stable_descriptors(daemon)
        memory.append(procfs.kib(daemon, "VmRSS"))
        assert procfs.threads(daemon) <= MAX_THREADS
    later = memory[WARM_UP_ROUNDS:]
    print(
        f"\n  {len(memory)} rounds, {number} files: threads {procfs.threads(daemon)}, descriptors {len(opened)},"
        f" MiB at first {memory[0] / KIB:.1f}, then {min(later) / KIB:.1f} to {max(later) / KIB:.1f}"
    )
    part = max(1, len(later) // 3)
    assert statistics.mean(later[-part:]) - statistics.mean(later[:part]) < MAX_GROWTH_KIB
    assert daemon.client.status()["jobs"]["failed"] == 0
    end(daemon)


def run_round(daemon, proxy, number):
    proxy.odds = {fault: share for fault, share in UNRELIABLE_NETWORK.items() if "stall" not in fault}
    album = daemon.inbox / f"album {number}"
    album.mkdir()
    for path in (daemon.inbox / "always.jpg", *(album / f"{n}.jpg" for n in range(10))):
        number += 1
        path.write_bytes(Text(seed=number, size=30 * KIB).bytes())
    settled(daemon)
    proxy.odds = {}
    for path in album.iterdir():
        path.unlink()
    album.rmdir()
    wait_until_sync(lambda: daemon.client.status()["folders"][0]["files"] == 1, "they are gone")
    proxy.hang_up()
    return number


def settled(daemon):
    def done():
        status = daemon.client.status()
        jobs = status["jobs"]
        return status["folders"][0]["files"] == 11 and not (jobs["queued"] or jobs["uploading"] or jobs["waiting"])

    wait_until_sync(done, lambda: f"all are done; {daemon.client.status()}")


def is_nothing_more_open(daemon, than):
    """Return whether all connections and files opened since ``than`` are closed."""
    return not Counter(procfs.descriptors(daemon)) - Counter(than)


def stable_descriptors(daemon):
    """Return the open descriptors when they have not changed for a second."""
    found, since = procfs.descriptors(daemon), time.monotonic()
    while time.monotonic() < since + 1:
        time.sleep(0.1)
        if (now := procfs.descriptors(daemon)) != found:
            found, since = now, time.monotonic()
    return found
