"""Failures of the machine: inotify limits, failing or full file systems, replaced files."""

import os
import shutil
import subprocess
from contextlib import suppress

import pytest

from tests.faults.churn import KIB, Text
from tests.faults.conftest import full_only
from tests.faults.test_shutdown import end
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e


class Mounts:
    """Mounts small file systems in memory, and unmounts all at the end."""

    def __init__(self):
        self._mounted = []

    def mount(self, path, *options):
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", *(options or ("-t", "tmpfs", "syncd-test")), path], check=True)
        self._mounted.append(path)

    def change(self, path, option):
        subprocess.run(["mount", "-o", f"remount,{option}", path], check=True)

    def unmount(self, path):
        subprocess.run(["umount", "-l", path], check=True)
        self._mounted.remove(path)

    def close(self):
        for path in reversed(self._mounted):
            subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def mounts(tmp_path):
    made = Mounts()
    try:
        made.mount(tmp_path / "may I")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    yield made
    made.close()


def drop(folder, names, size=20 * KIB):
    """Create files; return a mapping of path to content."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {folder / name: Text(seed=abs(hash(name)), size=size).bytes() for name in names}
    for path, data in contents.items():
        path.write_bytes(data)
    return contents


def wait_until_uploaded(daemon, receiver, contents):
    """Wait until all files are uploaded to both services; compare the stored contents."""

    def done():
        jobs = {(job["path"], job["remote"]): job for job in daemon.jobs("done")}
        found = [jobs.get((str(path), remote)) for path in contents for remote in ("drive", "ascii")]
        return found if all(found) else None

    for job in wait_until_sync(
        done, lambda: f"all are done; {[job for job in daemon.jobs() if job['state'] != 'done'][:5]}"
    ):
        data = next(data for path, data in contents.items() if str(path) == job["path"])
        assert receiver.content(job) == data


def folder(daemon):
    return daemon.client.status()["folders"][0]


def names(count, prefix="a"):
    return [f"{prefix}{number}.jpg" for number in range(count)]


def test_watch_limit_reached_falls_back_to_polling(daemon, receiver):
    """30 watches are enough for the first folders, not for the later ones."""
    lower = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    lower += ['echo 30 > /proc/sys/user/max_inotify_watches && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*lower, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
    daemon.prefix = lower
    contents = {}
    for number in range(10):
        contents |= drop(daemon.inbox / f"early {number}", [f"{number}.jpg"])
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    assert folder(daemon)["watch"] == "native"
    for number in range(40):
        contents |= drop(daemon.inbox / f"late {number}", [f"late {number}.jpg"])
    wait_until_uploaded(daemon, receiver, contents)
    status = folder(daemon)
    assert status["watch"] == "poll"
    assert "fs.inotify.max_user_watches=" in status["detail"]
    assert daemon.events("folder.polling")
    contents |= drop(daemon.inbox / "late 39", ["polled.jpg"])
    wait_until_uploaded(daemon, receiver, contents)
    end(daemon)


def test_folder_remounted_during_uploads_repeats_no_chunk(daemon, receiver, mounts, base):
    """A disk is unplugged and mounted again, with the same files and some new ones."""
    mounts.mount(base / "disk")
    mounts.mount(daemon.inbox, "--bind", base / "disk")
    daemon.settings["scheduler"]["bandwidth"] = "800KiB/s"
    contents = drop(daemon.inbox, names(25), 40 * KIB)
    daemon.start()
    wait_until_sync(lambda: daemon.client.status()["jobs"]["done"] > 5, "some are done")
    mounts.unmount(daemon.inbox)
    wait_until_sync(lambda: folder(daemon)["state"] == "offline", "it is missed")
    assert "mounted" in folder(daemon)["detail"]
    wait_until_sync(lambda: not daemon.client.status()["jobs"]["uploading"], "nothing of it is uploaded")
    drop(base / "disk", names(5, "meanwhile"))
    mounts.mount(daemon.inbox, "--bind", base / "disk")
    contents |= {daemon.inbox / name: (base / "disk" / name).read_bytes() for name in names(5, "meanwhile")}
    wait_until_uploaded(daemon, receiver, contents)
    wait_until_sync(lambda: folder(daemon)["state"] == "watching", "the scan that found the files has ended")
    assert [len(daemon.events(name)) for name in ("folder.offline", "folder.online")] == [1, 1]
    contents |= drop(daemon.inbox, ["noticed at once.jpg"])
    wait_until_uploaded(daemon, receiver, contents)
    assert receiver.counters()["chunks_repeated"] == 0
    end(daemon)


def test_daemon_started_before_mount_resends_nothing(daemon, receiver, mounts, base):
    """An empty mount point is not an empty folder: no record is lost, no file is sent again."""
    mounts.mount(base / "disk")
    mounts.mount(daemon.inbox, "--bind", base / "disk")
    contents = drop(daemon.inbox, names(10))
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    files = receiver.counters()["files"]
    end(daemon)
    mounts.unmount(daemon.inbox)
    daemon.start()
    assert folder(daemon)["files"] == 10
    mounts.mount(daemon.inbox, "--bind", base / "disk")
    contents |= drop(daemon.inbox, ["new.jpg"])
    wait_until_uploaded(daemon, receiver, contents)
    assert receiver.counters()["files"] == files + 1
    end(daemon)


@full_only
def test_folder_replaced_by_other_file_system_is_scanned(daemon, receiver, mounts):
    mounts.mount(daemon.inbox)
    contents = drop(daemon.inbox, names(5))
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    mounts.unmount(daemon.inbox)
    wait_until_sync(lambda: folder(daemon)["state"] == "offline", "it is missed")
    mounts.mount(daemon.inbox)
    other = drop(daemon.inbox, names(5, "other"))
    wait_until_uploaded(daemon, receiver, other)
    contents = drop(daemon.inbox / "new", names(3, "deeper"))
    wait_until_uploaded(daemon, receiver, contents)
    end(daemon)


def test_folder_read_only_is_uploaded(daemon, receiver, mounts):
    mounts.mount(daemon.inbox)
    contents = drop(daemon.inbox, names(10))
    mounts.change(daemon.inbox, "ro")
    daemon.settings["folders"][0]["after_upload"] = "delete"
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    kept = wait_until_sync(lambda: daemon.events("file.kept"), "it says that it could not delete them")
    assert "Read-only file system" in kept[0]["reason"]
    assert len(os.listdir(daemon.inbox)) == 10
    end(daemon)


@pytest.fixture
def small_disk(daemon, mounts):
    """Put the store on a file system of 24 MiB; yield functions that fill it and free it."""
    mounts.mount(daemon.state, "-t", "tmpfs", "-o", "size=24m,mode=700", "syncd-test")
    ballast = daemon.state / "ballast"

    def fill(leaving=0):
        with ballast.open("wb", buffering=0) as file:
            with suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            file.truncate(file.tell() - leaving)

    return fill, ballast.unlink


def test_store_disk_full_blocks_until_freed(daemon, receiver, small_disk):
    fill, free = small_disk
    contents = drop(daemon.inbox, names(20))
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    fill()
    contents |= drop(daemon.inbox, names(100, "b"))
    wait_until_sync(lambda: daemon.events("store.blocked"), "it says that it is blocked")
    for _ in range(20):
        assert daemon.client.status()["state"] == "blocked"
    assert "full" in daemon.events("store.blocked")[0]["reason"]
    assert not daemon.events("store.unblocked")
    free()
    wait_until_uploaded(daemon, receiver, contents)
    assert daemon.events("store.unblocked")
    assert len(daemon.events("store.blocked")) == len(daemon.events("store.unblocked"))
    end(daemon)


def test_shutdown_with_full_store_disk_loses_nothing(daemon, receiver, small_disk, scale):
    """Shut down during uploads and during starts on a full disk: no file is lost."""
    fill, free = small_disk
    daemon.settings["scheduler"]["bandwidth"] = "500KiB/s"
    contents = drop(daemon.inbox, names(25), 50 * KIB)
    daemon.start()
    wait_until_sync(lambda: daemon.client.status()["jobs"]["done"] > 5, "some are done")
    fill()
    wait_until_sync(lambda: daemon.events("store.blocked"), "it says that it is blocked")
    end(daemon)
    contents |= drop(daemon.inbox, names(5, "b"))
    waited = 0
    for pages in scale((0, 12), (0, 1, 2, 4, 9, 12, 16, 20, 24)):
        fill(pages * 4096)
        daemon.log.unlink()
        daemon.start(wait=False)
        wait_until_sync(
            lambda: not daemon.is_running() or '"store.blocked"' in daemon.log.read_text(), "it meets the full disk"
        )
        if daemon.is_running():
            waited += 1
            end(daemon)
        else:
            assert_disk_full_reported(daemon)
    assert waited
    free()
    del daemon.settings["scheduler"]["bandwidth"]
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    end(daemon)


def test_store_created_on_full_disk_reports_it(daemon, receiver, small_disk):
    """The daemon reports the full disk and exits; when space is free, it starts."""
    fill, free = small_disk
    fill()
    contents = drop(daemon.inbox, names(5))
    daemon.start(wait=False)
    daemon.child.wait(20)
    assert_disk_full_reported(daemon)
    free()
    daemon.log.unlink()
    daemon.start()
    wait_until_uploaded(daemon, receiver, contents)
    end(daemon)


def assert_disk_full_reported(daemon):
    """Assert that the daemon exited with one line that names the problem and the path."""
    assert daemon.child.returncode not in (0, 1)
    daemon.kill()
    log = daemon.log.read_text()
    *_, last_line = log.splitlines()
    assert last_line.startswith(f"syncd: {daemon.state}/")
    assert any(words in last_line for words in ("full", "No space", "disk I/O error"))
    assert "Traceback" not in log


@pytest.fixture
def without_privileges(daemon):
    """Run the daemon without the two capabilities that let root read every file."""
    if os.geteuid() == 0:
        daemon.prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
        if not shutil.which("setpriv") or subprocess.run([*daemon.prefix, "true"], check=False).returncode:
            pytest.skip("capabilities can't be dropped here")


@pytest.mark.usefixtures("without_privileges")
def test_unreadable_files_upload_once_readable(daemon, receiver):
    daemon.settings["folders"][0]["rescan"] = "1s"
    contents = drop(daemon.inbox, ["file.jpg", "other.jpg"]) | drop(daemon.inbox / "folder", ["deeper.jpg"])
    closed, shut = daemon.inbox / "file.jpg", daemon.inbox / "folder"
    closed.chmod(0)
    shut.chmod(0)
    daemon.start()
    (job, _) = daemon.wait_for_states(closed, {"failed"})
    assert "no permission to read the file" in job["detail"]
    wait_until_sync(
        lambda: "folder: Permission denied" in (folder(daemon)["detail"] or ""), "it says what it can't look into"
    )
    daemon.wait_for_counts(done=2, failed=2)
    assert daemon.client.status()["unreadable_files"] == 1
    closed.chmod(0o600)
    shut.chmod(0o700)
    wait_until_uploaded(daemon, receiver, contents)
    wait_until_sync(lambda: folder(daemon)["detail"] is None, "all is well again")
    assert daemon.client.status()["jobs"]["failed"] == 0
    end(daemon)
