"""The server is unreachable for some time: no job is lost, and no probe comes early."""

import socket
import statistics
import threading
import time
from itertools import pairwise

import pytest

from tests.faults.churn import Text
from tests.faults.conftest import full_only
from tests.faults.proxy import Fate
from tests.faults.test_shutdown import end
from tests.support.processes import ReceiverProcess
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

TOLERANCE = 0.15
"""Seconds: the status rounds to tenths."""
MOST_TRIED = 40
"""Jobs that are tried before it is clear that it is the server's trouble: five, and what was in flight, for each."""
PROBES = ("GET /api/files/upload/tasks", f"GET /image/{'0' * 64}")


def drop(daemon, files, size=2000):
    """Make files in folders of a hundred, with no two alike."""
    for number in range(files):
        folder = daemon.inbox / f"{number // 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(Text(seed=number, size=size).bytes())


def test_network_returns_and_uploads_resume(daemon, place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # closed at the end of the block, so connections are refused
    for remote in daemon.settings["remotes"].values():
        remote["url"] = f"http://127.0.0.1:{port}"
    drop(daemon, 50)
    daemon.start()
    wait_until_sync(
        lambda: {remote["state"] for remote in daemon.client.status()["remotes"]} == {"offline"}, "it is missed"
    )
    daemon.wait_for_counts(uploading=0, done=0, failed=0)
    assert "can't connect" in daemon.client.status()["remotes"][0]["detail"]
    with ReceiverProcess(place / "late", port=port) as late:
        daemon.wait_for_counts(done=100)
        assert late.counters()["files"] == late.counters()["images"] == 50
    assert len(daemon.events("remote.online")) == 2
    end(daemon)


class Watchman(threading.Thread):
    """Records, many times a second, the announced time of each remote's next request."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self._ctl = daemon.client
        self.said = []
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            at = time.monotonic()
            for remote in self._ctl.status()["remotes"]:
                self.said.append((time.monotonic(), remote["name"], at + (remote["retry_in_seconds"] or 0.0)))

    def until(self, at, name):
        """Return the time that was last announced before ``at``."""
        return next((until for when, who, until in reversed(self.said) if who == name and when < at), 0.0)


def away(daemon, waiting):
    """Queue jobs for an unreachable server; return when each remote only probes it."""
    drop(daemon, waiting)
    daemon.start()

    def piled_up():
        jobs = daemon.client.status()["jobs"]
        assert jobs["waiting"] <= MOST_TRIED
        return jobs["queued"] + jobs["waiting"] == 2 * waiting and not jobs["uploading"]

    wait_until_sync(piled_up, lambda: f"all wait; {daemon.client.status()}")
    wait_until_sync(
        lambda: {remote["state"] for remote in daemon.client.status()["remotes"]} == {"offline"}, "it is missed"
    )


@pytest.mark.parametrize("fate", [Fate.CUT_BEFORE, pytest.param(Fate.RESET_ANSWER, marks=full_only), Fate.BUSY])
def test_server_down_gets_one_probe_per_backoff(daemon, receiver, proxy, scale, fate):
    proxy.odds, proxy.retry_after = {fate: 1}, 1
    daemon.settings["scheduler"]["retry"] = {"initial": "1s", "max": "1s"}
    if fate is Fate.RESET_ANSWER:
        receiver.kill()  # a proxy before a dead server
    waiting = scale(120, 5000)
    away(daemon, waiting)
    start, at = len(proxy.asked), time.monotonic()
    watchman = Watchman(daemon)
    watchman.start()
    proxy.at_once = 0
    wait_until_sync(lambda: len(proxy.asked) >= start + scale(6, 30), "some probes have gone")
    watchman.over.set()
    watchman.join()
    probes, seconds = proxy.asked[start:], time.monotonic() - at
    gaps = keep_to_what_was_said(probes, watchman)
    assert proxy.at_once <= 2  # one for each remote
    if fate is Fate.BUSY:
        assert min(gaps) >= proxy.retry_after
    assert statistics.mean(gaps) > 0.1  # full jitter below 1 s: half a second in the mean
    print(f"\n  {fate}: {waiting} files wait, {len(probes)} probes in {seconds:.0f} s")

    proxy.odds = {}
    if fate is Fate.RESET_ANSWER:
        receiver.start()
    daemon.wait_for_counts(done=2 * waiting, timeout=300)
    end(daemon)


def keep_to_what_was_said(probes, watchman):
    """Assert that all requests are probes and none is early; return the intervals in seconds."""
    gaps = []
    for name, call in zip(("drive", "ascii"), PROBES, strict=True):
        mine = [one for one in probes if one.call == call]
        for one in mine:
            assert one.at >= watchman.until(one.at, name) - TOLERANCE
        gaps += [after.at - before.at for before, after in pairwise(mine)]
    assert {one.call for one in probes} <= set(PROBES)
    return gaps
