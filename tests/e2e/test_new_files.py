"""A new file does not wait for a backlog: a real daemon and a slow server."""

import os
import time

import pytest

from tests.faults.proxy import Proxy
from tests.support.config import multipart_remote
from tests.support.data import random_bytes
from tests.support.processes import DaemonProcess
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

BACKLOG = 2000
OLD = time.time() - 3600


def test_dropped_file_overtakes_backlog(tmp_path, receiver):
    with Proxy(receiver.port, rate=20_000) as proxy:
        daemon = DaemonProcess(tmp_path, proxy.url, concurrency=2)
        daemon.settings["folders"][0]["remote"] = "drive"
        daemon.settings["remotes"] = {"drive": multipart_remote(proxy.url)}
        for number in range(BACKLOG):
            path = daemon.inbox / f"{number}.jpg"
            path.write_bytes(random_bytes(5000, number))
            os.utime(path, (OLD, OLD))
        try:
            daemon.start()
            wait_until_sync(lambda: sum(daemon.client.status()["jobs"].values()) == BACKLOG, "the scan has ended")
            (daemon.inbox / "new.jpg").write_bytes(random_bytes(5000, BACKLOG))
            daemon.wait_for_states(daemon.inbox / "new.jpg", {"queued", "uploading", "done"})
            done_before = len(daemon.jobs("done"))
            daemon.wait_for_states(daemon.inbox / "new.jpg", {"done"})
            assert len(daemon.jobs("done")) - done_before <= 10
        finally:
            daemon.kill()
