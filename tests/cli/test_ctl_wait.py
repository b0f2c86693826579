"""``ctl wait``: its exit codes and messages, and that it follows the events."""

import threading
import time
from contextlib import contextmanager

import pytest

from syncd.cli.ctl import wait
from tests.control.fake import STATUS

SETTLED = {"done": 9, "total": 9, "settling": 0, "scanning": False, "settled": True}
BUSY = {**SETTLED, "total": 12, "settled": False}
IDLE = {**STATUS, "jobs": {**STATUS["jobs"], "queued": 0, "uploading": 0}, "sync": SETTLED}
WORKING = {**STATUS, "sync": BUSY}
FOLDER, REMOTE = STATUS["folders"][0], STATUS["remotes"][0]


def test_wait_ends_at_once_if_nothing_is_left(ctl, daemon):
    daemon.status_document = IDLE
    result = ctl("wait")
    assert (result.code, result.out, result.err) == (0, "everything is uploaded\n", "")


def test_wait_paused_without_work_succeeds(ctl, daemon):
    daemon.status_document = {**IDLE, "state": "stopped"}
    assert ctl("wait").code == 0


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"sync": SETTLED, "jobs": {**IDLE["jobs"], "failed": 2}},
            1,
            "nothing is left to upload, but this needs attention: 2 failed uploads",
        ),
        (
            {"sync": SETTLED, "jobs": IDLE["jobs"], "folders": [{**FOLDER, "state": "offline"}]},
            1,
            "nothing is left to upload, but this needs attention: folder /srv/inbox is missing",
        ),
        (
            {"state": "stopped"},
            69,
            "uploading is stopped, and 5 uploads are not finished; resume with: syncd ctl start",
        ),
        (
            {"remotes": [{**REMOTE, "state": "unauthorized"}], "jobs": {**STATUS["jobs"], "queued": 1, "uploading": 0}},
            69,
            "remote drive rejects the token, and 1 upload is not finished",
        ),
        (
            {"state": "blocked", "store_blocked": "the disk is full"},
            69,
            "the job store cannot be written: the disk is full, and 5 uploads are not finished",
        ),
    ],
)
def test_wait_names_problem_at_once(ctl, daemon, changes, code, message):
    daemon.status_document = {**WORKING, **changes}
    result = ctl("wait")
    fix = "" if "; " in message else "; see the fix with: syncd ctl status"
    assert (result.code, result.out, result.err) == (code, "", f"syncd: {message}{fix}\n")


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, "5 uploads are not finished"),
        (
            {"remotes": [{**REMOTE, "state": "offline"}]},
            "5 uploads are not finished; remote drive is offline",
        ),
        ({"jobs": IDLE["jobs"], "sync": {**BUSY, "settling": 1}}, "1 file is still being written"),
        ({"jobs": IDLE["jobs"], "sync": {**BUSY, "scanning": True}}, "a scan has not ended"),
    ],
)
def test_wait_timeout_has_own_exit_code(ctl, daemon, changes, left):
    daemon.status_document = {**WORKING, **changes}
    result = ctl("wait", "--timeout", "200ms")
    assert (result.code, result.out) == (124, "")
    assert result.err == f"syncd: after 0.2 s, {left}; see more with: syncd ctl status\n"


def test_wait_wrong_timeout_is_wrong_usage(ctl, daemon):
    result = ctl("wait", "--timeout", "soon")
    assert result.code == 2
    assert "write a duration such as" in result.err
    assert daemon.asked == []


def test_wait_without_daemon_says_so(syncd, tmp_path):
    result = syncd("ctl", "--socket", tmp_path / "none.sock", "wait")
    assert (result.code, result.out) == (3, "")
    assert "the daemon is not running" in result.err


def test_wait_follows_events(ctl, daemon):
    daemon.status_document = WORKING
    progress = {"flights": [], "jobs": WORKING["jobs"], "bytes": STATUS["bytes"], "eta_seconds": 1.0}

    def publish():
        while not daemon.hub.wanted("progress") or "status" not in daemon.asked:
            time.sleep(0.01)
        for number in range(5):
            daemon.hub.publish("progress", {**progress, "sync": {**BUSY, "done": number}})
            time.sleep(0.02)
        daemon.status_document = IDLE
        daemon.hub.publish("progress", {**progress, "sync": SETTLED})

    publisher = threading.Thread(target=publish)
    publisher.start()
    result = ctl("wait", "--timeout", "30s")
    publisher.join()
    assert (result.code, result.out) == (0, "everything is uploaded\n")


def test_wait_asks_for_status_only_after_news():
    progress = [[("progress", {"sync": {**BUSY, "done": number}})] for number in range(50)]
    client = ScriptedClient(WORKING, IDLE, [*progress, [("progress", {"sync": SETTLED})]])
    assert wait.wait(client, None) == "everything is uploaded"
    assert client.asked == 2


def test_wait_connects_again_after_lost_stream():
    """The daemon drops a listener that reads too slowly; only its end ends the wait."""
    client = ScriptedClient(WORKING, IDLE, [None])
    assert wait.wait(client, None) == "everything is uploaded"


class ScriptedClient:
    """A client with these batches of events and two status documents.

    The document is ``before`` until the last batch, and ``after`` from then on.
    """

    def __init__(self, before, after, batches):
        self._before, self._after, self._batches, self.asked = before, after, batches, 0

    def status(self):
        self.asked += 1
        return self._before if self._batches else self._after

    @contextmanager
    def listen(self, *kinds):
        yield self

    def receive(self, timeout):
        return self._batches.pop(0)


def test_status_shows_done_of_total(ctl, daemon):
    assert "  12,340 of 12,345 done\n" in ctl("status").out
    daemon.status_document = {**WORKING, "sync": {**BUSY, "scanning": True}}
    assert "  9 of 12 done, still scanning\n" in ctl("status").out
    daemon.status_document = IDLE
    assert " done\n" not in ctl("status").out.replace("115 done\n", "")
