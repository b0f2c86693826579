"""The watch with Windows' events, which can be split, lost or without a file type."""

import os
import sys
import threading

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32con
import win32file
from structlog.testing import capture_logs

from syncd.platform.file_info import remote_file_system
from syncd.watch import folder, scans, windows
from tests.support.wait import wait_until
from tests.watch.conftest import base, harness, other, records  # noqa: F401 - fixtures


async def test_busy_folder_reports_files_at_once(harness, records):  # noqa: F811
    over = threading.Event()

    def write():
        while not over.wait(0.02):
            (harness.path / "notes.txt").write_text("x")

    writer = threading.Thread(target=write)
    async with harness.running():
        writer.start()
        try:
            (harness.path / "a.jpg").write_bytes(b"x")
            await wait_until(lambda: "a.jpg" in records.known)
        finally:
            over.set()
            writer.join()


async def test_lost_events_cause_rescan(harness, records, monkeypatch):  # noqa: F811
    """Simulate Windows' report of a full buffer, an empty block; wine's buffer is never full."""
    run = windows.Reader._run_inner

    def losing(self, *about):
        run(self, *about)
        _, extended = self._buf_queue.get()
        self._buf_queue.put((b"", extended))

    with capture_logs() as logs:
        async with harness.running():
            monkeypatch.setattr(windows.Reader, "_run_inner", losing)
            for number in range(9):  # the block that the reader already reads is not lost
                (harness.path / f"{number}.jpg").write_bytes(b"x")
            await wait_until(lambda: len(records.known) == 9)
    assert "folder.overflow" in [line["event"] for line in logs]


async def test_folder_moved_out_takes_its_files(harness, records, other):  # noqa: F811
    (harness.path / "d").mkdir()
    (harness.path / "d" / "a.jpg").write_bytes(b"x")
    async with harness.running():
        await wait_until(lambda: "d/a.jpg" in records.known)
        os.rename(harness.path / "d", other / "d")
        await wait_until(lambda: not records.known)


async def test_replaced_folder_is_watched(harness, records, other, monkeypatch):  # noqa: F811
    monkeypatch.setattr(folder, "CHECK_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(scans, "MIN_POLL_INTERVAL_SECONDS", 0.1)
    async with harness.running() as watch:
        os.rename(harness.path, other / "gone")
        await wait_until(lambda: watch.status.state == "offline")
        assert watch.status.detail.endswith(f": {harness.path.absolute()}")
        harness.path.mkdir()
        await wait_until(lambda: watch.status.state == "watching")
        (harness.path / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "b.jpg" in records.known)


async def test_failed_reader_is_replaced(harness, records, monkeypatch):  # noqa: F811
    monkeypatch.setattr(folder, "CHECK_INTERVAL_SECONDS", 0.1)
    failing = [OSError(5, "Input/output error")]
    run = windows.Reader._run_inner

    def once(self, *about):
        run(self, *about)
        if failing:
            raise failing.pop()

    monkeypatch.setattr(windows.Reader, "_run_inner", once)
    async with harness.running():
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: not failing and "a.jpg" in records.known)
        (harness.path / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "b.jpg" in records.known)


def test_network_drive_is_remote(monkeypatch, tmp_path):
    assert remote_file_system(str(tmp_path)) is None
    asked = []

    def kind(drive):
        asked.append(drive)
        return win32con.DRIVE_REMOTE

    monkeypatch.setattr(win32file, "GetDriveType", kind)
    assert remote_file_system(r"\\?\C:\photos") == "a network share"
    assert remote_file_system(r"\\?\UNC\nas\share\photos") == "a network share"
    assert asked == ["C:\\", "\\\\nas\\share\\"]
