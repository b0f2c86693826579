"""Two daemons with one state folder, and unusable stores: one error, an unchanged store."""

import asyncio
import os
import sqlite3
import time
from contextlib import closing

import pytest

from syncd.core.model import Fingerprint, FoundFile
from syncd.store.job_store import JobStore
from tests.support.data import random_bytes
from tests.support.processes import DaemonProcess, run_command
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e


@pytest.fixture
def daemon(tmp_path):
    """A daemon whose server refuses connections."""
    made = DaemonProcess(tmp_path, "http://127.0.0.1:1", retry={"initial": "10ms", "max": "30ms"})
    made.write_settings()
    yield made
    made.kill()


def test_state_folder_second_daemon_is_refused(daemon):
    daemon.start()
    for command in ("run", "once"):
        ended = run_command(command, "-c", daemon.config)
        assert ended.code == 75
        assert f"pid {daemon.child.pid}" in ended.err
        assert ended.err.count("\n") == 1
    (daemon.inbox / "a.jpg").write_bytes(random_bytes(1000))
    daemon.wait_for_counts(queued=2)
    assert daemon.terminate() == 0
    assert run_command("once", "-c", daemon.config).code == 1  # the lock is free; the server is still unreachable


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2)


def wrong_page(path):
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096))


def from_the_future(path):
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")


def no_store(path):
    path.write_bytes(b"precious " * 1000)


async def make_store(path):
    """Create the store of a daemon that has ended."""
    store = await JobStore.open(str(path), clock=time.time)
    remote = await store.register_remote("drive", "drive")
    found = [
        FoundFile(path=f"{number}.jpg", fingerprint=Fingerprint(inode=number, size=1, mtime_ns=1))
        for number in range(500)
    ]
    await store.observe("/srv", found, [remote.id], is_gone=lambda *_: False)
    await store.close()


@pytest.mark.parametrize("damage", [cut_short, wrong_page, from_the_future, no_store])
def test_state_folder_unusable_store_is_reported_unchanged(syncd, daemon, damage):
    store = daemon.state / "syncd.db"
    asyncio.run(make_store(store))
    damage(store)
    before = store.read_bytes()
    for command in ("run", "once"):
        ended = syncd(command, "-c", daemon.config)
        assert ended.code == 65
        assert str(store) in ended.err
        assert ended.err.count("\n") == 1
    checked = syncd("check", "-c", daemon.config)
    assert checked.code == 1
    assert str(store) in checked.out
    assert checked.err == ""
    assert store.read_bytes() == before
    assert wait_until_sync(lambda: not (daemon.state / "syncd.db-wal").exists(), "no log is left")
