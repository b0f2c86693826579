"""Changes as Windows tells of them: in pieces, sometimes too many, and not of what it was that went away."""

import os
import sys
import threading

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32con
import win32file
from structlog.testing import capture_logs

from syncd.watch import folder, reconciler, windows
from syncd.watch.filesystems import remote_type
from tests.watch.conftest import bench, other, place, sink  # noqa: F401 - fixtures
from tests.watch.support import until


async def test_a_folder_that_never_rests_is_told_of_meanwhile(bench, sink):  # noqa: F811
    over = threading.Event()

    def write():
        while not over.wait(0.02):
            (bench.path / "notes.txt").write_text("x")

    writer = threading.Thread(target=write)
    async with bench.running():
        writer.start()
        try:
            (bench.path / "a.jpg").write_bytes(b"x")
            await until(lambda: "a.jpg" in sink.known)
        finally:
            over.set()
            writer.join()


async def test_lost_changes_lead_to_a_rescan(bench, sink, monkeypatch):  # noqa: F811
    """As Windows tells of more than its buffer holds, by a piece without anything in it; wine holds all."""
    run = windows.Reader._run_inner

    def losing(self, *about):
        run(self, *about)
        _, extended = self._buf_queue.get()
        self._buf_queue.put((b"", extended))

    with capture_logs() as logs:
        async with bench.running():
            monkeypatch.setattr(windows.Reader, "_run_inner", losing)
            for number in range(9):  # what the reader is reading already is not lost
                (bench.path / f"{number}.jpg").write_bytes(b"x")
            await until(lambda: len(sink.known) == 9)
    assert "folder.overflow" in [line["event"] for line in logs]


async def test_a_folder_moved_out_takes_its_files_along(bench, sink, other):  # noqa: F811
    (bench.path / "d").mkdir()
    (bench.path / "d" / "a.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "d/a.jpg" in sink.known)
        os.rename(bench.path / "d", other / "d")
        await until(lambda: not sink.known)


async def test_another_folder_in_its_place(bench, sink, other, monkeypatch):  # noqa: F811
    monkeypatch.setattr(folder, "CHECK_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(reconciler, "MIN_POLL_INTERVAL_SECONDS", 0.1)
    async with bench.running() as watch:
        os.rename(bench.path, other / "gone")
        await until(lambda: watch.status.state == "offline")
        assert watch.status.detail.endswith(f": {bench.path.absolute()}")
        bench.path.mkdir()
        await until(lambda: watch.status.state == "watching")
        (bench.path / "b.jpg").write_bytes(b"x")
        await until(lambda: "b.jpg" in sink.known)


async def test_a_reader_that_fails_is_replaced(bench, sink, monkeypatch):  # noqa: F811
    monkeypatch.setattr(folder, "CHECK_INTERVAL_SECONDS", 0.1)
    failing = [OSError(5, "Input/output error")]
    run = windows.Reader._run_inner

    def once(self, *about):
        run(self, *about)
        if failing:
            raise failing.pop()

    monkeypatch.setattr(windows.Reader, "_run_inner", once)
    async with bench.running():
        (bench.path / "a.jpg").write_bytes(b"x")
        await until(lambda: not failing and "a.jpg" in sink.known)
        (bench.path / "b.jpg").write_bytes(b"x")
        await until(lambda: "b.jpg" in sink.known)


def test_what_lies_on_another_machine_is_known(monkeypatch, tmp_path):
    assert remote_type(str(tmp_path)) is None
    asked = []

    def kind(drive):
        asked.append(drive)
        return win32con.DRIVE_REMOTE

    monkeypatch.setattr(win32file, "GetDriveType", kind)
    assert remote_type(r"\\?\C:\photos") == "a network share"
    assert remote_type(r"\\?\UNC\nas\share\photos") == "a network share"
    assert asked == ["C:\\", "\\\\nas\\share\\"]
