"""Rewritten files are uploaded from file systems with time stamps of one or two seconds."""

import os
import shutil
import subprocess
import time

import pytest

from tests.support.data import random_bytes
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

KINDS = {"vfat": (["mkfs.vfat"], 2), "ext4": (["mkfs.ext4", "-q", "-F", "-I", "128"], 1)}


@pytest.fixture(params=KINDS)
def granularity(request, daemon, tmp_path):
    """Mount the inbox on a file system with coarse times; yield their granularity in seconds."""
    make, seconds = KINDS[request.param]
    if os.geteuid() != 0 or not shutil.which(make[0]):
        pytest.skip(f"needs root and {make[0]}")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run([*make, image], check=True, stdout=subprocess.DEVNULL)
    if subprocess.run(["mount", "-o", "loop", image, daemon.inbox], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"{request.param} can't be mounted here")
    yield seconds
    daemon.kill()
    subprocess.run(["umount", daemon.inbox], check=True)


def test_coarse_times_rewrite_in_same_tick_is_uploaded(daemon, receiver, granularity):
    daemon.start()
    path = daemon.inbox / "a.jpg"
    for round_ in range(2):
        time.sleep(granularity - time.time() % granularity)  # the start of a tick
        path.write_bytes(random_bytes(50_000, f"{round_} first"))
        time.sleep(0.5)  # long enough to hash it, unless the daemon waits for the end of the tick
        with path.open("r+b") as file:
            file.write(random_bytes(50_000, f"{round_} second"))
        wait_until_sync(lambda: all_are(daemon, receiver, path.read_bytes()), "the second content is on both servers")


def all_are(daemon, receiver, data):
    jobs = daemon.jobs("done")
    return len(jobs) == 2 and all(receiver.content(job) == data for job in jobs)
