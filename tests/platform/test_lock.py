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


def test_lock_creates_private_folder_and_file_with_pid(tmp_path):
    with StateLock(tmp_path / "a" / "state"):
        lock = tmp_path / "a" / "state" / "lock"
        assert lock.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


@pytest.mark.e2e
def test_lock_held_by_another_process_is_refused(tmp_path, holder):
    with (
        pytest.raises(AlreadyRunningError, match=f"pid {holder.pid}.*uses {tmp_path}") as caught,
        StateLock(tmp_path / "state"),
    ):
        pass
    assert caught.value.pid == holder.pid
    assert (tmp_path / "state" / "lock").read_text() == f"{holder.pid}\n"


@pytest.mark.e2e
def test_lock_of_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with StateLock(tmp_path / "state"):
        assert (tmp_path / "state" / "lock").read_text() == f"{os.getpid()}\n"


def test_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with StateLock(tmp_path):
            pass


def test_lock_refuses_symlink(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), StateLock(tmp_path):
        pass
    assert victim.read_text() == "precious"


def test_lock_error_names_full_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left on device") as raised, StateLock(tmp_path):
        pass
    assert raised.value.filename == str(tmp_path / "lock")


@pytest.mark.e2e
def test_holder_returns_pid(tmp_path, holder):
    assert holder_of(tmp_path / "state") == holder.pid
    holder.kill()
    holder.wait()
    assert holder_of(tmp_path / "state") is None
    with StateLock(tmp_path / "state"):
        pass
    assert holder_of(tmp_path / "state") is None


@pytest.mark.parametrize("folder", ["none", "file/state"])
def test_holder_of_missing_lock_is_none(tmp_path, folder):
    (tmp_path / "file").touch()
    assert holder_of(tmp_path / folder) is None
    assert os.listdir(tmp_path) == ["file"]


def test_holder_does_not_block_lock(tmp_path):
    (tmp_path / "lock").touch()
    with open(tmp_path / "lock") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN))
        release.start()
        with StateLock(tmp_path):
            pass
        release.join()
