"""A real daemon whose job store is deleted, moved or replaced under it."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e


def fill(daemon, receiver, prefix):
    """Create some files and wait until all files are uploaded."""
    for number in range(5):
        (daemon.inbox / f"{prefix}{number}.jpg").write_bytes(f"{prefix} {number} ".encode() * 1000)
    daemon.wait_for_counts(done=2 * len(list(daemon.inbox.iterdir())))


def health(daemon):
    """Return the status and the error of ``GET /healthz`` on the control socket."""
    connection = http.client.HTTPConnection("syncd")
    connection.sock = socket.socket(socket.AF_UNIX)
    with connection.sock:
        connection.sock.connect(str(daemon.client.socket_path))
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status, json.load(response).get("error")


def until_blocked(daemon):
    wait_until_sync(lambda: daemon.events("store.blocked"), daemon.log.read_text)
    (event,) = daemon.events("store.blocked")
    assert event["level"] == "error"
    return event["reason"]


def test_store_file_moved_blocks_until_back(daemon, receiver):
    daemon.start()
    fill(daemon, receiver, "a")
    store, aside = daemon.state / "syncd.db", daemon.state / "aside.db"
    wait_until_sync(lambda: len(daemon.events("job.done")) == 10, daemon.log.read_text)
    os.rename(store, aside)
    (daemon.inbox / "b.jpg").write_bytes(b"b" * 1000)
    reason = until_blocked(daemon)
    assert reason.startswith(f"{store}: the job store was deleted or replaced while syncd runs")
    status = daemon.client.status()
    assert (status["state"], status["store_blocked"], status["jobs"]["done"]) == ("blocked", reason, 10)
    assert health(daemon) == (503, f"the job store cannot be written: {reason}")
    command = [sys.executable, "-m", "syncd", "ctl", "-c", daemon.config, "status"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"all jobs wait, because the job store cannot be written: {reason}" in ended.stdout
    assert len(daemon.events("job.done")) == 10

    os.rename(aside, store)
    daemon.wait_for_counts(done=12)
    assert (daemon.client.status()["state"], daemon.client.status()["store_blocked"]) == ("running", None)
    assert health(daemon) == (200, None)
    assert len(daemon.events("store.unblocked")) == 1
    before = receiver.chunk_requests()
    daemon.kill()
    daemon.start()
    fill(daemon, receiver, "a")
    assert daemon.client.status()["jobs"]["done"] == 12
    assert receiver.chunk_requests() == before


def test_store_file_replaced_is_not_written(daemon, receiver, tmp_path):
    daemon.start()
    fill(daemon, receiver, "a")
    assert daemon.terminate() == 0
    theirs = tmp_path / "theirs.db"
    shutil.copy(daemon.state / "syncd.db", theirs)
    daemon.start()
    fill(daemon, receiver, "b")
    store = daemon.state / "syncd.db"
    os.replace(theirs, store)
    before = store.read_bytes()
    (daemon.inbox / "c.jpg").write_bytes(b"c" * 1000)
    until_blocked(daemon)
    assert daemon.terminate() == 0
    assert store.read_bytes() == before
    daemon.start()  # continues with the other store and asks the server for known contents
    daemon.wait_for_counts(done=22)
    daemon.terminate()


def test_state_folder_deleted_restart_resends_nothing(daemon, receiver):
    daemon.start()
    fill(daemon, receiver, "a")
    shutil.rmtree(daemon.state)
    until_blocked(daemon)
    wait_until_sync(daemon.is_ready, daemon.log.read_text)  # at the recreated socket
    assert "deleted or replaced" in daemon.client.status()["store_blocked"]
    assert daemon.terminate() == 0
    before = receiver.counters()["chunks_received"]
    daemon.start()
    daemon.wait_for_counts(done=10)
    assert receiver.counters()["chunks_received"] == before
    daemon.terminate()


def test_store_wal_deleted_loses_nothing(daemon, receiver):
    daemon.start()
    fill(daemon, receiver, "a")
    (daemon.state / "syncd.db-wal").unlink()
    reason = until_blocked(daemon)
    assert "syncd.db-wal: the log of the job store was deleted or replaced" in reason
    before = receiver.chunk_requests()
    daemon.kill()
    daemon.start()
    daemon.wait_for_counts(done=10)
    assert receiver.chunk_requests() == before
    assert len(daemon.events("job.done")) == 10
    daemon.terminate()
