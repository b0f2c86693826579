"""Tens of thousands of small files at once: all arrive, and the daemon stays small."""

import os
import time

import pytest

from tests.faults import procfs
from tests.faults.test_shutdown import end
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

MAX_RSS_KIB = 200 * 1024
"""KiB of memory that the daemon may take at its highest."""


def flood(inbox, files):
    """Create different files as fast as one process can, 50 in each folder, 3 folders deep."""
    for start in range(0, files, 50):
        folder = os.path.join(inbox, f"{start // 5000}", f"{start // 500}", f"{start}")
        os.makedirs(folder)
        for number in range(start, start + 50):
            with open(os.path.join(folder, f"{number}.jpg"), "wb", buffering=0) as file:
                file.write(b"%d" % number * 20)


def test_burst_of_files_is_uploaded(daemon, receiver, scale):
    daemon.preload = False  # its memory is measured
    files = scale(3000, 60_000)
    daemon.settings["folders"][0]["remote"] = "drive"
    daemon.settings["remotes"]["drive"] |= {"url": receiver.url, "timeout": "5m"}  # no response is too late
    daemon.start()
    began = time.monotonic()
    flood(daemon.inbox, files)
    made = time.monotonic() - began
    wait_until_sync(
        lambda: sum(daemon.client.status()["jobs"].values()) == files, lambda: daemon.client.status()["jobs"], 300
    )
    known = time.monotonic() - began
    daemon.wait_for_counts(done=files, timeout=900)
    seconds = time.monotonic() - began
    highest = procfs.kib(daemon, "VmHWM")
    print(
        f"\n  {files} files made in {made:.1f} s, known after {known:.1f} s, there after {seconds:.1f} s;"
        f" highest RSS {highest // 1024} MiB; overflows {len(daemon.events('folder.overflow'))}"
    )
    assert highest < MAX_RSS_KIB
    assert receiver.counters()["files"] == files
    assert len(os.listdir(receiver.folder / "files" / "finished")) == files
    end(daemon)
