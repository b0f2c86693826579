"""Failures of folders and events: missing roots, lost events, limits, failing handlers."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from watchdog.observers import inotify_c

from syncd.core.settle import Hint
from syncd.watch import folder as folder_module
from syncd.watch import scans
from syncd.watch.hints import MAX_NOTIFY_INTERVAL_SECONDS, HintBuffer
from syncd.watch.inotify import Inotify
from syncd.watch.observer import Observer
from tests.support.wait import wait_until

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(folder_module, "CHECK_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(scans, "MIN_POLL_INTERVAL_SECONDS", 0.1)


def names(logs):
    return [line["event"] for line in logs]


async def test_folder_created_later_is_watched(harness, records):
    harness.path.rmdir()
    async with harness.running() as watch:
        await wait_until(lambda: watch.status.state == "offline")
        assert "No such file" in watch.status.detail
        harness.path.mkdir()
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known and watch.status.state == "watching")


async def test_folder_deleted_and_recreated_is_watched(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    with capture_logs() as logs:
        async with harness.running() as watch:
            await wait_until(lambda: "a.jpg" in records.known)
            shutil.rmtree(harness.path)
            await wait_until(lambda: watch.status.state == "offline")
            known = set(records.known)
            harness.path.mkdir()
            await wait_until(lambda: watch.status.state == "watching")
            (harness.path / "b.jpg").write_bytes(b"x")  # an event finds it: a scan would be too late
            await wait_until(lambda: "b.jpg" in records.known)
    assert known <= {"a.jpg"}
    assert [name for name in names(logs) if name in ("folder.offline", "folder.online")] == [
        "folder.offline",
        "folder.online",
    ]


async def test_folder_exchanged_atomically_is_watched(harness, records, other):
    async with harness.running():
        (other / "a.jpg").write_bytes(b"x")
        os.rename(harness.path, harness.path.with_name("before"))
        os.rename(other, harness.path)
        await wait_until(lambda: "a.jpg" in records.known)
        (harness.path / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "b.jpg" in records.known)


@pytest.fixture
def mounted(harness):
    """Mount a small file system on the folder; the test can unmount and mount it again."""

    def mount():
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "syncd-test", harness.path], capture_output=True, check=False
        )

    def unmount():
        return subprocess.run(["umount", "-l", harness.path], capture_output=True, check=False)

    if os.geteuid() or mount().returncode:
        pytest.skip("mounting needs root")
    yield mount, unmount
    unmount()


@pytest.mark.e2e
async def test_unmounted_folder_is_offline_not_empty(harness, records, mounted):
    mount, unmount = mounted
    (harness.path / "a.jpg").write_bytes(b"x")
    async with harness.running() as watch:
        await wait_until(lambda: "a.jpg" in records.known)
        (harness.path / "a.jpg").write_bytes(b"xy")
        await wait_until(lambda: watch.settling("a.jpg"))  # the file is checked after the unmount
        unmount()
        await wait_until(lambda: watch.status.state == "offline" and not watch.settling("a.jpg"))
        assert "mounted" in watch.status.detail
        assert not records.gone
        mount()
        (harness.path / "c.jpg").write_bytes(b"x")
        await wait_until(lambda: "c.jpg" in records.known and watch.status.state == "watching")
        (harness.path / "d.jpg").write_bytes(b"x")
        await wait_until(lambda: "d.jpg" in records.known)


@pytest.mark.skipif(QUEUE > 100_000, reason="the kernel's queue is very long here")
async def test_queue_overflow_causes_a_rescan(harness, records, monkeypatch):
    """The reader pauses until the kernel's queue overflows, so that events are lost."""
    held, released = threading.Event(), threading.Event()
    handle = Inotify.handle_event

    def waiting(self, event):
        held.set()
        assert released.wait(60)
        handle(self, event)

    monkeypatch.setattr(Inotify, "handle_event", waiting)
    with capture_logs() as logs:
        async with harness.running():
            (harness.path / "first.jpg").write_bytes(b"x")
            assert await asyncio.to_thread(held.wait, 20)
            for _ in range(QUEUE // 3 + 2000):  # created, closed, deleted
                (harness.path / "a.doc").touch()
                (harness.path / "a.doc").unlink()
            (harness.path / "last.jpg").write_bytes(b"x")
            released.set()
            await wait_until(lambda: {"first.jpg", "last.jpg"} <= records.known.keys())
    assert "folder.overflow" in names(logs)


async def test_burst_of_20_000_files_is_found(harness, records):
    def drop():
        for n in range(20):
            (harness.path / str(n)).mkdir()
            for m in range(1000):
                (harness.path / str(n) / f"{m}.jpg").write_bytes(b"x")

    async with harness.running():
        await asyncio.to_thread(drop)
        await wait_until(lambda: len(records.known) == 20_000, timeout=60)


async def test_watch_limit_at_start_falls_back_to_polling(harness, records, monkeypatch):
    for n in range(10):
        (harness.path / f"d{n}").mkdir()
    made = []
    add = inotify_c.InotifyFD._get_or_create_watch

    def limited(self, path, mask):
        made.append(path)
        if len(made) > 5:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return add(self, path, mask)

    monkeypatch.setattr(inotify_c.InotifyFD, "_get_or_create_watch", limited)
    async with harness.running() as watch:
        assert watch.status.watch == "poll"
        assert "sudo sysctl fs.inotify.max_user_watches=" in watch.status.detail
        (harness.path / "d9" / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "d9/a.jpg" in records.known)


@pytest.mark.e2e
def test_real_watch_limit_falls_back_to_polling():
    """The kernel refuses the watches: 20 are allowed for 51 folders."""

    def limited(*command):
        lower = 'echo 20 > /proc/sys/user/max_inotify_watches && exec "$@"'
        in_namespace = ["unshare", "--user", "--map-root-user", "sh", "-c", lower, "sh", *command]
        return subprocess.run(in_namespace, capture_output=True, text=True, check=False)

    if not shutil.which("unshare") or limited("true").returncode:
        pytest.skip("user namespaces are not allowed here")
    result = limited(sys.executable, "-m", "tests.watch.limited_watches")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("poll ")
    assert "sudo sysctl fs.inotify.max_user_watches=" in result.stdout


async def test_watch_limit_reached_later_falls_back_to_polling(harness, records, monkeypatch):
    async with harness.running() as watch:
        assert watch.status.watch == "native"

        def exhausted(self, path, mask):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")

        monkeypatch.setattr(inotify_c.InotifyFD, "_get_or_create_watch", exhausted)
        (harness.path / "d").mkdir()
        (harness.path / "d" / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "d/a.jpg" in records.known and watch.status.watch == "poll")
        assert "max_user_watches" in watch.status.detail
        (harness.path / "d" / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "d/b.jpg" in records.known)


async def test_incomplete_events_cause_a_scan_at_once(harness, records, monkeypatch):
    async with harness.running() as watch:
        monkeypatch.setattr(Observer, "unwatched_reason", lambda self: "too few")
        await wait_until(lambda: watch.status.watch == "poll")
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


async def test_inotify_instance_limit_falls_back_to_polling(harness, records, monkeypatch):
    def refused(cls):
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(inotify_c.InotifyFD, "_create_inotify_fd", classmethod(refused))
    async with harness.running() as watch:
        assert "sudo sysctl fs.inotify.max_user_instances=" in watch.status.detail
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


async def test_events_return_after_limit_is_raised(harness, records, monkeypatch):
    create = inotify_c.InotifyFD._create_inotify_fd

    def refused(cls):
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(inotify_c.InotifyFD, "_create_inotify_fd", classmethod(refused))
    async with harness.running(rescan=0.2) as watch:
        assert watch.status.watch == "poll"
        monkeypatch.setattr(inotify_c.InotifyFD, "_create_inotify_fd", create)
        await wait_until(lambda: watch.status.watch == "native" and watch.status.detail is None)


async def test_handler_error_causes_a_rescan(harness, records, monkeypatch):
    async with harness.running() as watch:
        matches = type(watch._tree).matches

        def failing(self, path):
            if path == "bad.jpg":
                monkeypatch.setattr(type(watch._tree), "matches", matches)
                raise RuntimeError("a bug")
            return matches(self, path)

        monkeypatch.setattr(type(watch._tree), "matches", failing)
        (harness.path / "bad.jpg").write_bytes(b"x")
        await wait_until(lambda: "bad.jpg" in records.known)
        (harness.path / "good.jpg").write_bytes(b"x")
        await wait_until(lambda: "good.jpg" in records.known)


async def test_dead_thread_restarts_the_events(harness, records):
    async with harness.running() as watch:
        before = watch._events._observer
        for emitter in before._system.emitters:
            emitter.stop()
        await wait_until(lambda: watch._events._observer not in (None, before) and watch.status.state == "watching")
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


def test_logs_have_the_folder(harness):
    assert structlog.get_context(harness.once()._log)["folder"] == str(harness.path)


async def test_folder_without_permission_is_offline(harness, records, monkeypatch):
    scandir = os.scandir
    refused = [True]

    def guarded(path):
        if refused and str(path) == str(harness.path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    (harness.path / "a.jpg").write_bytes(b"x")
    with capture_logs() as logs:
        watch = harness.once()
        assert not await watch.scan_once()
        assert watch.status.detail == f"Permission denied: {harness.path}"
        task = asyncio.create_task(watch.run())
        await wait_until(lambda: watch.status.state == "offline")
        refused.clear()
        await wait_until(lambda: "a.jpg" in records.known)
        task.cancel()
        await asyncio.wait([task])
    assert names(logs).count("folder.offline") == 1


async def test_request_rescan_ignores_impossible_paths(harness, records):
    async with harness.running() as watch:
        watch.request_rescan("a\0.jpg")
        watch.request_rescan("\ud800.jpg")
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


async def test_too_many_linked_directories_are_polled(harness, records, other, monkeypatch):
    monkeypatch.setattr("syncd.watch.observer.MAX_WATCHED_LINKS", 2)
    for n in range(4):
        (other / str(n)).mkdir()
        (harness.path / str(n)).symlink_to(other / str(n))
    async with harness.running(follow_symlinks=True) as watch:
        await wait_until(lambda: watch.status.watch == "poll")
        assert "linked" in watch.status.detail
        (other / "3" / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "3/a.jpg" in records.known)


async def test_hint_buffer_notifies_at_once_and_then_less_often():
    loop, notified = asyncio.get_running_loop(), []

    def note():
        notified.append(loop.time())
        hints.drain()

    hints = HintBuffer(note)
    hints.attach(loop)
    until = loop.time() + 0.5
    started, number = loop.time(), 0
    while loop.time() < until:
        hints.add_file("a.jpg", Hint())
        number += 1
        await asyncio.sleep(0)
    assert notified[0] - started < MAX_NOTIFY_INTERVAL_SECONDS / 2
    assert len(notified) < 20 < number  # 2, 4, 8, 16, 32, and then 50 ms
    await asyncio.sleep(2 * MAX_NOTIFY_INTERVAL_SECONDS)
    notified.clear()
    started = loop.time()
    hints.add_file("b.jpg", Hint())
    await wait_until(lambda: notified)
    assert notified[0] - started < MAX_NOTIFY_INTERVAL_SECONDS / 2


def test_hint_buffer_over_limit_needs_rescan(monkeypatch):
    monkeypatch.setattr("syncd.watch.hints.MAX_PENDING_FILES", 3)
    hints = HintBuffer(lambda: None)
    for number in range(9):
        hints.add_file(f"{number}.jpg", Hint(closed=True))
    drained = hints.drain()
    assert len(drained.files) <= 3
    assert drained.rescan_needed
    assert drained.overflow
