"""`scan_once` reports each new, changed and gone file before it returns, and no other."""

import asyncio
import errno
import os
import shutil
import time

import pytest
from structlog.testing import capture_logs

from syncd.core.settle import Hint
from syncd.watch import folder as folder_module
from syncd.watch.debounce import SettleQueue
from syncd.watch.scanner import BATCH_SIZE, WatchedTree
from tests.names import ONLY_UNIX
from tests.watch.support import set_age


async def test_scan_once_reports_new_files_only(harness, records):
    for n in range(2500):
        (harness.path / f"{n}.jpg").write_bytes(b"x")
    assert await harness.once().scan_once()
    assert len(records.known) == 2500
    assert await harness.once().scan_once()
    assert len(records.observed) == 2500
    assert records.asked == 5000


async def test_scan_once_reports_old_file_at_once(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    set_age(harness.path / "a.jpg")
    started = time.monotonic()
    assert await harness.once(settle=60.0).scan_once()
    assert "a.jpg" in records.known
    assert time.monotonic() - started < 30


async def test_scan_once_waits_for_file_with_future_mtime(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    set_age(harness.path / "a.jpg", -3600)
    assert await harness.once().scan_once()
    assert "a.jpg" in records.known


async def test_scan_once_reports_a_change(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    await harness.once().scan_once()
    (harness.path / "a.jpg").write_bytes(b"xy")
    await harness.once().scan_once()
    assert [seen.fingerprint.size for seen in records.observed] == [1, 2]


async def test_scan_once_reports_gone_files(harness, records):
    (harness.path / "d").mkdir()
    for name in ("a.jpg", "b.jpg", "d/c.jpg"):
        (harness.path / name).write_bytes(b"x")
    await harness.once().scan_once()
    (harness.path / "a.jpg").unlink()
    shutil.rmtree(harness.path / "d")
    await harness.once().scan_once()
    assert set(records.gone) == {"a.jpg", "d/c.jpg"}
    assert records.known.keys() == {"b.jpg"}


@pytest.mark.unix
@pytest.mark.parametrize("replace", [os.mkdir, lambda path: os.symlink("b.jpg", path)], ids=["directory", "symlink"])
async def test_scan_once_reports_replaced_file_as_gone(harness, records, replace):
    for name in "a.jpg", "b.jpg":
        (harness.path / name).write_bytes(b"x")
    await harness.once().scan_once()
    (harness.path / "a.jpg").unlink()
    replace(harness.path / "a.jpg")
    await harness.once().scan_once()
    assert records.gone == ["a.jpg"]


async def test_scan_once_logs_file_that_cannot_be_checked(harness, records, monkeypatch):
    def refuse(_tree, path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    (harness.path / "a.jpg").write_bytes(b"x")
    watch = harness.once()
    await watch.scan_once()
    (harness.path / "a.jpg").unlink()
    monkeypatch.setattr(WatchedTree, "find_file", refuse)
    with capture_logs() as logs:
        await watch.scan_once()
    assert [(entry["event"], entry["path"], entry["reason"]) for entry in logs] == [
        ("folder.unreadable", "a.jpg", "Permission denied")
    ]
    assert records.known.keys() == {"a.jpg"}


async def test_scan_without_changes_is_not_logged_as_info(harness):
    watch = harness.once()
    with capture_logs() as logs:  # of the level info
        await watch.scan_once()  # the first scan is always requested
        await watch.scan_once()
        (harness.path / "a.jpg").write_bytes(b"x")
        set_age(harness.path / "a.jpg")
        await watch.scan_once()
        await watch.scan_once()
        (harness.path / "a.jpg").unlink()
        await watch.scan_once()
    scans = [(entry["changed"], entry["gone"]) for entry in logs if entry["event"] == "folder.scanned"]
    assert scans == [(0, 0), (1, 0), (0, 1)]


async def test_scan_once_of_empty_folder_reports_nothing_gone(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    await harness.once().scan_once()
    (harness.path / "a.jpg").unlink()
    assert await harness.once().scan_once()
    assert records.known.keys() == {"a.jpg"}


async def test_scan_once_of_missing_folder_reports_nothing_gone(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    await harness.once().scan_once()
    shutil.rmtree(harness.path)
    watch = harness.once()
    assert not await watch.scan_once()
    assert watch.status.state == "offline"
    assert watch.status.detail.endswith(f": {harness.path.absolute()}")
    assert records.known.keys() == {"a.jpg"}


async def test_scan_once_of_a_file_is_offline(harness, records):
    harness.path.rmdir()
    harness.path.write_bytes(b"x")
    watch = harness.once()
    assert not await watch.scan_once()
    assert watch.status.detail.endswith(f": {harness.path.absolute()}")


@pytest.mark.unix
async def test_scan_once_reports_unfit_files_with_reason(harness, records):
    (harness.path / "a.jpg").touch()
    os.mkfifo(harness.path / "p.jpg")
    await harness.once().scan_once()
    assert {seen.path: seen.unfit for seen in records.observed} == {"a.jpg": "empty", "p.jpg": "not a regular file"}


async def test_records_error_for_one_file_does_not_stop_others(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.debounce.RECORD_RETRY_SECONDS", 0.1)
    for n in range(50):
        (harness.path / f"{n}.jpg").write_bytes(b"x")
    records.failing = {"7.jpg", "8.jpg"}
    assert await harness.once().scan_once()
    assert len(records.known) == 50


async def test_files_of_one_batch_are_recorded_together(harness, records, monkeypatch):
    sizes, observe = [], records.observe

    async def record(folder, seen):
        sizes.append(len(seen))
        await observe(folder, seen)

    monkeypatch.setattr(records, "observe", record)
    for n in range(50):
        (harness.path / f"{n}.jpg").write_bytes(b"x")
        set_age(harness.path / f"{n}.jpg")
    assert await harness.once().scan_once()
    assert sizes == [50]


async def test_failed_records_call_is_repeated(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.debounce.RECORD_RETRY_SECONDS", 0.1)
    (harness.path / "a.jpg").write_bytes(b"x")
    diff, page, paths = records.diff, records.page, records.paths
    broken = ["diff", "page", "paths"]

    async def failing(name, call, *args):
        if name in broken:
            broken.remove(name)
            raise OSError("the store is full")
        return await call(*args)

    records.diff = lambda *args: failing("diff", diff, *args)
    records.page = lambda *args: failing("page", page, *args)
    records.paths = lambda *args: failing("paths", paths, *args)
    assert await harness.once().scan_once()
    assert records.known.keys() == {"a.jpg"}
    assert not broken


async def test_scan_waits_while_the_queue_is_full(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.debounce.MAX_PENDING_FILES", 500)
    put, sizes = SettleQueue._put, []

    def put_and_count(queue, *args):
        put(queue, *args)
        sizes.append(len(queue._pending))

    monkeypatch.setattr(SettleQueue, "_put", put_and_count)
    for n in range(3000):
        (harness.path / f"{n}.jpg").write_bytes(b"x")
        set_age(harness.path / f"{n}.jpg", -3600)  # not quiet when the scan finds it, however long the writes take
    assert await harness.once().scan_once()
    assert len(records.known) == 3000
    assert 500 <= max(sizes) < 500 + 2 * BATCH_SIZE


async def test_scan_once_leaves_file_that_keeps_changing(harness, records, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_WAIT_IN_SETTLE_TIMES", 3)
    (harness.path / "calm.jpg").write_bytes(b"x")
    (harness.path / "restless.jpg").write_bytes(b"x")

    async def write():
        while True:
            with (harness.path / "restless.jpg").open("ab") as file:
                file.write(b"x")
            await asyncio.sleep(0.01)

    writer = asyncio.create_task(write())
    watch = harness.once()
    assert await watch.scan_once()
    writer.cancel()
    assert records.known.keys() == {"calm.jpg"}
    assert watch.settling("restless.jpg")


async def test_event_while_file_is_checked_counts(harness, records, monkeypatch):
    path = harness.path / "a.jpg"
    path.write_bytes(b"x")
    watch = harness.once()
    loop = asyncio.get_running_loop()
    find_file = WatchedTree.find_file

    def slow(self, name):
        seen = find_file(self, name)
        if path.stat().st_size == 1:
            path.write_bytes(b"xy")
            loop.call_soon_threadsafe(lambda: watch._queue.add_hint(name, Hint(closed=True)))
            processed = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
            processed.result(20)
        return seen

    watch._queue.add_hint("a.jpg", Hint(closed=True))
    monkeypatch.setattr(WatchedTree, "find_file", slow)
    taker = asyncio.create_task(watch._queue.run())
    assert await watch._queue.wait_until_empty(20) == 0
    taker.cancel()
    await asyncio.wait([taker])
    assert [seen.fingerprint.size for seen in records.observed] == [2]


@pytest.mark.parametrize("name", [*ONLY_UNIX, "é" * 125 + "a.jpg"])
async def test_scan_once_reports_names_of_any_bytes(harness, records, name):
    (harness.path / name).write_bytes(b"x")
    await harness.once().scan_once()
    assert records.known.keys() == {name}
    (harness.path / name).unlink()
    (harness.path / "other.jpg").write_bytes(b"x")
    await harness.once().scan_once()
    assert records.gone == [name]
