import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from syncd.platform.lock import AlreadyRunningError, StateLock
from syncd.platform.lock import holder as holder_of

HOLDER = """
import sys, time
from syncd.platform.lock import StateLock
with StateLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "state"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_folder_and_the_lock_are_private_and_hold_the_pid(tmp_path):
    with StateLock(tmp_path / "a" / "state"):
        lock = tmp_path / "a" / "state" / "lock"
        assert lock.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


@pytest.mark.e2e
def test_a_second_process_is_told_who_holds_it(tmp_path, holder):
    with (
        pytest.raises(AlreadyRunningError, match=f"pid {holder.pid}.*uses {tmp_path}") as caught,
        StateLock(tmp_path / "state"),
    ):
        pass
    assert caught.value.pid == holder.pid
    assert (tmp_path / "state" / "lock").read_text() == f"{holder.pid}\n"


@pytest.mark.e2e
def test_a_killed_holder_holds_no_more(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with StateLock(tmp_path / "state"):
        assert (tmp_path / "state" / "lock").read_text() == f"{os.getpid()}\n"


def test_it_can_be_taken_again(tmp_path):
    for _ in range(2):
        with StateLock(tmp_path):
            pass


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), StateLock(tmp_path):
        pass
    assert victim.read_text() == "precious"


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left on device") as raised, StateLock(tmp_path):
        pass
    assert raised.value.filename == str(tmp_path / "lock")


@pytest.mark.e2e
def test_who_holds_it_can_be_seen(tmp_path, holder):
    assert holder_of(tmp_path / "state") == holder.pid
    holder.kill()
    holder.wait()
    assert holder_of(tmp_path / "state") is None
    with StateLock(tmp_path / "state"):
        pass
    assert holder_of(tmp_path / "state") is None


@pytest.mark.parametrize("folder", ["none", "file/state"])
def test_nobody_holds_what_is_not_there(tmp_path, folder):
    (tmp_path / "file").touch()
    assert holder_of(tmp_path / folder) is None
    assert os.listdir(tmp_path) == ["file"]


def test_who_looks_keeps_nobody_out(tmp_path):
    (tmp_path / "lock").touch()
    with open(tmp_path / "lock") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN))
        release.start()
        with StateLock(tmp_path):
            pass
        release.join()
