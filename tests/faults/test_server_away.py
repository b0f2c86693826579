"""The server is unreachable for some time: no job is lost, and no probe comes early."""

import socket
import statistics
import threading
import time
from itertools import pairwise

import pytest

from tests.faults.churn import Text
from tests.faults.conftest import full_only
from tests.faults.proxy import Fault
from tests.faults.test_shutdown import end
from tests.support.processes import ReceiverProcess
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

TOLERANCE = 0.15
"""Seconds: the status rounds to tenths."""
MAX_FAILED_JOBS = 40
"""Jobs tried before the breakers open: five for each remote, and the requests in flight."""
PROBES = ("GET /api/files/upload/tasks", f"GET /image/{'0' * 64}")


def drop(daemon, files, size=2000):
    """Create different files, 100 in each folder."""
    for number in range(files):
        folder = daemon.inbox / f"{number // 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(Text(seed=number, size=size).bytes())


def test_network_returns_and_uploads_resume(daemon, base):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # closed at the end of the block, so connections are refused
    for remote in daemon.settings["remotes"].values():
        remote["url"] = f"http://127.0.0.1:{port}"
    drop(daemon, 50)
    daemon.start()
    wait_until_sync(
        lambda: {remote["state"] for remote in daemon.client.status()["remotes"]} == {"offline"},
        "both remotes are offline",
    )
    daemon.wait_for_counts(uploading=0, done=0, failed=0)
    assert "can't connect" in daemon.client.status()["remotes"][0]["detail"]
    with ReceiverProcess(base / "late", port=port) as late:
        daemon.wait_for_counts(done=100)
        assert late.counters()["files"] == late.counters()["images"] == 50
    assert len(daemon.events("remote.online")) == 2
    end(daemon)


class ProbeTimeRecorder(threading.Thread):
    """Records, many times a second, the announced time of each remote's next request."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self._ctl = daemon.client
        self.announced = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            at = time.monotonic()
            for remote in self._ctl.status()["remotes"]:
                self.announced.append((time.monotonic(), remote["name"], at + (remote["retry_in_seconds"] or 0.0)))

    def until(self, at, name):
        """Return the time that was last announced before ``at``."""
        return next((until for when, who, until in reversed(self.announced) if who == name and when < at), 0.0)


def queue_for_offline_server(daemon, waiting):
    """Queue jobs for an unreachable server; return when each remote only probes it."""
    drop(daemon, waiting)
    daemon.start()

    def piled_up():
        jobs = daemon.client.status()["jobs"]
        assert jobs["waiting"] <= MAX_FAILED_JOBS
        return jobs["queued"] + jobs["waiting"] == 2 * waiting and not jobs["uploading"]

    wait_until_sync(piled_up, lambda: f"all wait; {daemon.client.status()}")
    wait_until_sync(
        lambda: {remote["state"] for remote in daemon.client.status()["remotes"]} == {"offline"}, "it is missed"
    )


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, pytest.param(Fault.RESET_ANSWER, marks=full_only), Fault.BUSY])
def test_server_down_gets_one_probe_per_backoff(daemon, receiver, proxy, scale, fault):
    proxy.odds, proxy.retry_after = {fault: 1}, 1
    daemon.settings["scheduler"]["retry"] = {"initial": "1s", "max": "1s"}
    if fault is Fault.RESET_ANSWER:
        receiver.kill()  # the proxy accepts connections, the server is down
    waiting = scale(120, 5000)
    queue_for_offline_server(daemon, waiting)
    start, at = len(proxy.requests), time.monotonic()
    recorder = ProbeTimeRecorder(daemon)
    recorder.start()
    proxy.at_once = 0
    wait_until_sync(lambda: len(proxy.requests) >= start + scale(6, 30), "some probes have gone")
    recorder.over.set()
    recorder.join()
    probes, seconds = proxy.requests[start:], time.monotonic() - at
    gaps = assert_probes_respect_backoff(probes, recorder)
    assert proxy.at_once <= 2  # one for each remote
    if fault is Fault.BUSY:
        assert min(gaps) >= proxy.retry_after
    assert statistics.mean(gaps) > 0.1  # full jitter below 1 s: half a second in the mean
    print(f"\n  {fault}: {waiting} files wait, {len(probes)} probes in {seconds:.0f} s")

    proxy.odds = {}
    if fault is Fault.RESET_ANSWER:
        receiver.start()
    daemon.wait_for_counts(done=2 * waiting, timeout=300)
    end(daemon)


def assert_probes_respect_backoff(probes, recorder):
    """Assert that all requests are probes and none is early; return the intervals in seconds."""
    gaps = []
    for name, call in zip(("drive", "ascii"), PROBES, strict=True):
        own = [one for one in probes if one.call == call]
        for one in own:
            assert one.at >= recorder.until(one.at, name) - TOLERANCE
        gaps += [after.at - before.at for before, after in pairwise(own)]
    assert {one.call for one in probes} <= set(PROBES)
    return gaps
