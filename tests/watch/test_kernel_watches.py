"""Directories without events get a watch or are polled, and the status names them."""

import errno
import os
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from syncd.watch import folder as folder_module
from syncd.watch import inotify as inotify_module
from syncd.watch import scans
from tests.support.wait import wait_until
from tests.watch.support import WatchHarness

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports its watches")


@pytest.fixture(autouse=True)
def short_interval(monkeypatch):
    monkeypatch.setattr(scans, "MIN_GAP_SCAN_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(folder_module, "CHECK_INTERVAL_SECONDS", 0.1)


@pytest.fixture
def mountable():
    """Mount a file system in memory over a directory."""
    mounted = []

    def mount(path):
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("nothing can be mounted here")
        mounted.append(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


async def test_folder_behind_symlink_reports_files(base, records):
    (base / "real").mkdir()
    (base / "link").symlink_to("real")
    harness = WatchHarness(base / "link", records)
    async with harness.running() as watch:
        assert (watch.status.watch, watch.status.detail) == ("native", None)
        (base / "link" / "a.jpg").write_bytes(b"new")
        (base / "real" / "sub").mkdir()
        await wait_until(lambda: "a.jpg" in records.known)
        (base / "real" / "sub" / "b.jpg").write_bytes(b"new")
        await wait_until(lambda: "sub/b.jpg" in records.known)


async def test_directory_readable_later_gets_a_watch(harness, records, monkeypatch):
    closed = {str(harness.path / "phone")}
    deny(monkeypatch, closed)
    async with harness.running() as watch:
        (harness.path / "phone").mkdir()
        (harness.path / "phone" / "a.jpg").write_bytes(b"new")
        await wait_until(lambda: watch.status.detail and "1 not readable, such as phone" in watch.status.detail)
        closed.clear()
        await wait_until(lambda: "phone/a.jpg" in records.known)
        await wait_until(lambda: watch.status.detail is None)
        await wait_until(lambda: covered(watch, harness.path / "phone"))


async def test_unreadable_directory_is_logged_once(harness, monkeypatch):
    (harness.path / "closed").mkdir()
    deny(monkeypatch, {str(harness.path / "closed")})
    watch = harness.once()
    with capture_logs() as logs:
        assert await watch.scan_once()
        assert await watch.scan_once()
    unreadable = [(entry["path"], entry["reason"]) for entry in logs if entry["event"] == "folder.unreadable"]
    assert unreadable == [("closed", "Permission denied")]


def deny(monkeypatch, closed):
    """Make these directories unreadable; a mode would not stop root, which runs the tests."""
    scandir, access = os.scandir, os.access

    def is_closed(path):
        return not isinstance(path, int) and os.fsdecode(path).rstrip("/") in closed

    def refuse(path):
        if is_closed(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("syncd.watch.scanner.os.scandir", refuse)
    monkeypatch.setattr(inotify_module.os, "access", lambda path, mode: not is_closed(path) and access(path, mode))


def covered(watch, path):
    kernel_watches = watch._events._observer and watch._events._observer.kernel_watches()
    return kernel_watches is not None and kernel_watches.covers(os.stat(path))


@pytest.mark.e2e
async def test_file_system_mounted_inside_gets_a_watch(harness, records, mountable):
    (harness.path / "card").mkdir()
    async with harness.running() as watch:
        mountable(harness.path / "card")
        (harness.path / "card" / "a.jpg").write_bytes(b"new")
        assert not covered(watch, harness.path / "card")
        watch.request_rescan()
        await wait_until(lambda: "card/a.jpg" in records.known)
        await wait_until(lambda: covered(watch, harness.path / "card"))
        (harness.path / "card" / "b.jpg").write_bytes(b"new")
        await wait_until(lambda: "card/b.jpg" in records.known)


async def test_directory_without_watch_is_polled_and_named(harness, records, monkeypatch):
    """A file system may refuse a watch for any reason."""
    real = inotify_module.Inotify.add_callback

    def add_callback(self, path, *about):
        if path.rstrip(b"/").endswith(b"unwatched"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(self, path, *about)

    monkeypatch.setattr(inotify_module.Inotify, "add_callback", add_callback)
    (harness.path / "unwatched").mkdir()
    (harness.path / "fine").mkdir()
    async with harness.running() as watch:
        await wait_until(lambda: watch.status.detail)
        assert watch.status.detail == "1 without events and therefore polled, such as unwatched"
        assert watch.status.watch == "native"
        (harness.path / "unwatched" / "a.jpg").write_bytes(b"new")
        await wait_until(lambda: "unwatched/a.jpg" in records.known)
        (harness.path / "unwatched" / "a.jpg").unlink()
        await wait_until(lambda: "unwatched/a.jpg" not in records.known)


async def test_rescan_of_covered_folder_restarts_no_events(harness, records, monkeypatch):
    for number in range(5):
        (harness.path / f"sub{number}").mkdir()
    async with harness.running() as watch:
        restarts = []
        monkeypatch.setattr(watch._events, "start", lambda: restarts.append(1))
        (harness.path / "sub1" / "deep").mkdir()
        (harness.path / "sub1" / "deep" / "a.jpg").write_bytes(b"new")
        await wait_until(lambda: "sub1/deep/a.jpg" in records.known)
        os.rename(harness.path / "sub1", harness.path / "moved")
        await wait_until(lambda: "moved/deep/a.jpg" in records.known)
        watch.request_rescan()
        await wait_until(lambda: watch.status.state == "watching" and not watch._scan_runner.full_scan_requested)
        assert restarts == []
