"""A file that is open for writing is held back, and the status gives the reason."""

import asyncio
import contextlib
import mmap
import os
import sys
import threading

import pytest
from structlog.testing import capture_logs

from syncd.core.model import FoundFile
from syncd.platform.read_lease import Writer
from syncd.watch import debounce, inspection
from syncd.watch.folder import FolderWatch
from syncd.watch.inspection import Unfinished, inspect
from syncd.watch.scanner import WatchedTree
from syncd.watch.walk import Scan
from tests.support.wait import wait_until
from tests.watch.support import set_age

if sys.platform != "linux":
    pytest.skip("leases are Linux' own", allow_module_level=True)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(inspection, "FIRST_RECHECK_SECONDS", 0.02)
    monkeypatch.setattr(inspection, "MAX_RECHECK_SECONDS", 0.1)


@pytest.fixture
def inspections(monkeypatch) -> list[object]:
    """Record the result of each inspection."""
    found: list[object] = []

    def recording(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        found.append(inspect(tree, seen))
        return found[-1]

    monkeypatch.setattr(debounce, "inspect", recording)
    return found


@pytest.mark.parametrize("watch", ["native", "poll"])
async def test_file_of_pausing_writer_waits(harness, records, inspections, watch):
    async with harness.running(watch=watch):
        with (harness.path / "a.jpg").open("wb", buffering=0) as file:
            file.write(b"half")
            harness.watch.request_rescan()
            await wait_until(lambda: inspections.count(Unfinished.IN_USE) > 5)
            assert not records.observed
            file.write(b" and half")
        await wait_until(lambda: records.observed)
        await wait_until(lambda: not harness.watch.settling("a.jpg"))
    assert [seen.fingerprint.size for seen in records.observed] == [13]


async def test_file_open_at_start_waits(harness, records, inspections):
    (harness.path / "a.jpg").write_bytes(b"x")
    (harness.path / "b.jpg").write_bytes(b"x")
    set_age(harness.path / "a.jpg")
    set_age(harness.path / "b.jpg")
    with (harness.path / "a.jpg").open("r+b") as file:
        async with harness.running():
            await wait_until(lambda: inspections.count(Unfinished.IN_USE) > 2)
            harness.watch.request_rescan()
            await wait_until(
                lambda: harness.watch.status.state == "watching" and inspections.count(Unfinished.IN_USE) > 4
            )
            assert records.known.keys() == {"b.jpg"}
            file.close()
            await wait_until(lambda: "a.jpg" in records.known)


async def test_empty_file_open_for_writing_waits(harness, records, inspections):
    async with harness.running():
        with (harness.path / "a.jpg").open("wb", buffering=0) as file:
            await wait_until(lambda: inspections.count(Unfinished.IN_USE) > 2)
            file.write(b"x")
        await wait_until(lambda: records.observed)
    assert [seen.unfit for seen in records.observed] == [None]


async def test_file_mapped_for_writing_waits(harness, records, inspections):
    (harness.path / "a.jpg").write_bytes(b"x" * 5000)
    with (harness.path / "a.jpg").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    async with harness.running():
        await wait_until(lambda: inspections.count(Unfinished.IN_USE) > 2)
        assert not records.observed
        mapped[:1] = b"y"
        mapped.close()
        await wait_until(lambda: records.observed)


async def test_open_file_is_in_status_and_logged_once(harness, records, inspections):
    with capture_logs() as logs:
        async with harness.running() as watch:
            with (harness.path / "a.jpg").open("wb") as file:
                file.write(b"x")
                file.flush()
                await wait_until(lambda: inspections.count(Unfinished.IN_USE) > 2)
                assert watch.in_use("a.jpg")
                assert watch.status.detail == (
                    "1 open for writing by another program, such as a.jpg: uploaded after that program closes them"
                )
            await wait_until(lambda: records.observed)
            await wait_until(lambda: not watch.in_use("a.jpg"))
            assert watch.status.detail is None
    assert [log["path"] for log in logs if log["event"] == "file.in_use"] == ["a.jpg"]


async def test_open_file_that_disappears_is_forgotten(harness, records, inspections):
    async with harness.running() as watch:
        with (harness.path / "a.jpg").open("wb") as file:
            file.write(b"x")
            file.flush()
            await wait_until(lambda: watch.in_use("a.jpg"))
            (harness.path / "a.jpg").unlink()
            await wait_until(lambda: not watch.in_use("a.jpg"))
    assert not records.observed


async def test_scan_once_leaves_open_file_and_logs(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    (harness.path / "b.jpg").write_bytes(b"x")
    with (harness.path / "a.jpg").open("wb", buffering=0) as file, capture_logs() as logs:
        file.write(b"x")
        watch = harness.once()
        assert await watch.scan_once()
        assert records.known.keys() == {"b.jpg"}
        assert watch.in_use("a.jpg")
    assert [log["files"] for log in logs if log["event"] == "folder.unsettled"] == [1]


async def test_scan_once_names_file_in_inspection_at_timeout(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    released = threading.Event()

    def slow(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        released.wait()
        return inspect(tree, seen)

    monkeypatch.setattr(debounce, "inspect", slow)
    (harness.path / "a.jpg").write_bytes(b"x")
    watch = harness.once()
    try:
        assert await watch.scan_once()
    finally:
        released.set()
    assert not records.known
    assert watch.unsettled().keys() == {"a.jpg"}


async def test_known_file_is_not_opened(harness, records, inspections):
    for number in range(20):
        (harness.path / f"{number}.jpg").write_bytes(b"x")
    await harness.once().scan_once()
    assert len(inspections) == 20
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stack.enter_context((harness.path / f"{number}.jpg").open("r+b"))
        await harness.once().scan_once()
    assert len(inspections) == 20


async def test_quiet_file_is_reported_if_writers_are_unknown(harness, records, monkeypatch):
    monkeypatch.setattr(inspection, "writer", lambda _: Writer.UNKNOWN)
    async with harness.running():
        with (harness.path / "a.jpg").open("wb", buffering=0) as file:
            file.write(b"x")
            await wait_until(lambda: records.observed)


async def test_inspection_causes_no_event(harness, records, inspections):
    async with harness.running() as watch:
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: records.observed)
        hinted = []
        watch._hints.add_file = lambda path, hint: hinted.append(path)
        inspect(watch._tree, records.observed[0])
        (harness.path / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "b.jpg" in hinted)
    assert set(hinted) == {"b.jpg"}


def first_observation(harness, name="a.jpg") -> tuple[WatchedTree, FoundFile]:
    tree = WatchedTree.of(harness.folder)
    (seen,) = (seen for seen in Scan(tree).next_batch() if seen.path == name)
    return tree, seen


def test_inspect_changed_file_is_unfinished(harness):
    (harness.path / "a.jpg").write_bytes(b"x")
    tree, seen = first_observation(harness)
    assert inspect(tree, seen).birth_ns == tree.birth_ns("a.jpg")
    (harness.path / "a.jpg").write_bytes(b"xy")
    assert inspect(tree, seen) is Unfinished.CHANGED
    (harness.path / "a.jpg").unlink()
    assert inspect(tree, seen) is Unfinished.CHANGED


@pytest.mark.parametrize("odd", [os.mkfifo, lambda path: path.symlink_to("b.jpg")])
def test_inspect_replaced_file_neither_follows_nor_blocks(harness, odd):
    (harness.path / "a.jpg").write_bytes(b"x")
    (harness.path / "b.jpg").write_bytes(b"x")
    tree, seen = first_observation(harness)
    (harness.path / "a.jpg").unlink()
    odd(harness.path / "a.jpg")
    with (harness.path / "b.jpg").open("r+b"):
        assert inspect(tree, seen) == seen


async def test_change_before_inspection_restarts_the_wait(harness, records, monkeypatch):
    path = harness.path / "a.jpg"
    path.write_bytes(b"x")

    def late(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        if path.stat().st_size == 1:
            path.write_bytes(b"xy")
        return inspect(tree, seen)

    monkeypatch.setattr(debounce, "inspect", late)
    assert await harness.once().scan_once()
    assert [seen.fingerprint.size for seen in records.observed] == [2]


class FixedWallClock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("granularity", [1, 2])
@pytest.mark.parametrize("event", [False, True])
async def test_file_with_racy_mtime_waits(harness, records, granularity, event):
    """On FAT, mtimes have two seconds: a later write in that time must be part of the upload."""
    path, mtime = harness.path / "a.jpg", 1_700_000_000 + granularity % 2
    wall = FixedWallClock(mtime + granularity - 0.3)
    watch = FolderWatch(harness.folder, records, wall=wall)
    if not event:
        path.write_bytes(b"x")
        os.utime(path, (mtime, mtime))
    task = asyncio.create_task(watch.run())
    try:
        await wait_until(lambda: watch.status.state == "watching")
        if event:
            path.write_bytes(b"x")
            os.utime(path, (mtime, mtime))
        await wait_until(lambda: watch.settling("a.jpg"))
        await wait_until(lambda: (waiting := watch._queue._pending.get("a.jpg")) and waiting.not_before)
        assert not records.observed
        wall.now = mtime + granularity + 0.1
        await wait_until(lambda: records.observed)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_files_with_old_or_future_mtime_do_not_wait(harness, records):
    for name, mtime in ("old.jpg", 1_600_000_000), ("future.jpg", 1_800_000_000):
        (harness.path / name).write_bytes(b"x")
        os.utime(harness.path / name, (mtime, mtime))
    watch = FolderWatch(harness.folder, records, wall=FixedWallClock(1_700_000_000.0))
    assert await watch.scan_once()
    assert records.known.keys() == {"old.jpg", "future.jpg"}


async def test_rename_chain_reports_the_first_name(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    async with harness.running():
        await wait_until(lambda: "a.jpg" in records.known)
        for source, target in ("a.jpg", "b.jpg"), ("b.jpg", "c.jpg"):
            (harness.path / source).rename(harness.path / target)
        await wait_until(lambda: records.known.keys() == {"c.jpg"})
    assert records.known["c.jpg"].moved_from == "a.jpg"


async def test_new_file_at_renamed_path_is_not_a_rename(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    async with harness.running(settle=0.5):
        await wait_until(lambda: "a.jpg" in records.known)
        (harness.path / "a.jpg").rename(harness.path / "b.jpg")
        (harness.path / "b.jpg").unlink()
        (harness.path / "b.jpg").write_bytes(b"y")
        await wait_until(lambda: records.known.keys() == {"b.jpg"})
    assert records.known["b.jpg"].moved_from is None


async def test_closed_is_set_only_by_close_event(harness, records, other):
    (harness.path / "old.jpg").write_bytes(b"x")
    (other / "moved.jpg").write_bytes(b"x")
    async with harness.running():
        await wait_until(lambda: "old.jpg" in records.known)
        (harness.path / "new.jpg").write_bytes(b"x")
        (other / "moved.jpg").rename(harness.path / "moved.jpg")
        await wait_until(lambda: records.known.keys() == {"old.jpg", "new.jpg", "moved.jpg"})
    assert {path: seen.closed for path, seen in records.known.items()} == {
        "old.jpg": False,
        "new.jpg": True,
        "moved.jpg": False,
    }


async def test_replaced_file_is_recognised_by_birth_time(harness, records):
    """The new file has the inode, size and mtime of the old one, as on a camera's card."""
    path = harness.path / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    async with harness.running():
        await wait_until(lambda: "a.jpg" in records.known)
        first = records.known["a.jpg"]
        monkey = WatchedTree.birth_ns
        try:
            WatchedTree.birth_ns = lambda self, name: monkey(self, name) + 1  # only ext4 reuses an inode at once
            with path.open("r+b"):
                pass
            os.utime(path, (1_700_000_000, 1_700_000_000))
            await wait_until(lambda: len(records.observed) == 2)
        finally:
            WatchedTree.birth_ns = monkey
    assert records.known["a.jpg"].fingerprint == first.fingerprint
