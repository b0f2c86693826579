"""A file that a program has open for writing is not taken, however long it has been quiet, and people can see why."""

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
from syncd.watch.scanner import Scan, WatchedTree
from tests.watch.support import until
from tests.watch.test_once import age

if sys.platform != "linux":
    pytest.skip("leases are Linux' own", allow_module_level=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(debounce, "IN_USE_FIRST_SECONDS", 0.02)
    monkeypatch.setattr(debounce, "IN_USE_MAX_SECONDS", 0.1)


@pytest.fixture
def looks(monkeypatch) -> list[object]:
    """What was found each time that a file was looked at by an open descriptor."""
    found: list[object] = []

    def noting(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        found.append(inspect(tree, seen))
        return found[-1]

    monkeypatch.setattr(debounce, "inspect", noting)
    return found


@pytest.mark.parametrize("watch", ["native", "poll"])
async def test_file_of_pausing_writer_waits(bench, sink, looks, watch):
    async with bench.running(watch=watch):
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            file.write(b"half")
            bench.watch.request_rescan()
            await until(lambda: looks.count(Unfinished.IN_USE) > 5)
            assert not sink.observed
            file.write(b" and half")
        await until(lambda: sink.observed)
        await until(lambda: not bench.watch.settling("a.jpg"))
    assert [seen.fingerprint.size for seen in sink.observed] == [13]


async def test_file_open_at_start_waits(bench, sink, looks):
    (bench.path / "a.jpg").write_bytes(b"x")
    (bench.path / "b.jpg").write_bytes(b"x")
    age(bench.path / "a.jpg")
    age(bench.path / "b.jpg")
    with (bench.path / "a.jpg").open("r+b") as file:
        async with bench.running():
            await until(lambda: looks.count(Unfinished.IN_USE) > 2)
            bench.watch.request_rescan()
            await until(lambda: bench.watch.status.state == "watching" and looks.count(Unfinished.IN_USE) > 4)
            assert sink.known.keys() == {"b.jpg"}
            file.close()
            await until(lambda: "a.jpg" in sink.known)


async def test_empty_file_open_for_writing_waits(bench, sink, looks):
    async with bench.running():
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            await until(lambda: looks.count(Unfinished.IN_USE) > 2)
            file.write(b"x")
        await until(lambda: sink.observed)
    assert [seen.unfit for seen in sink.observed] == [None]


async def test_file_mapped_for_writing_waits(bench, sink, looks):
    (bench.path / "a.jpg").write_bytes(b"x" * 5000)
    with (bench.path / "a.jpg").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    async with bench.running():
        await until(lambda: looks.count(Unfinished.IN_USE) > 2)
        assert not sink.observed
        mapped[:1] = b"y"
        mapped.close()
        await until(lambda: sink.observed)


async def test_open_file_is_in_status_and_logged_once(bench, sink, looks):
    with capture_logs() as logs:
        async with bench.running() as watch:
            with (bench.path / "a.jpg").open("wb") as file:
                file.write(b"x")
                file.flush()
                await until(lambda: looks.count(Unfinished.IN_USE) > 2)
                assert watch.in_use("a.jpg")
                assert watch.status.detail == (
                    "1 open for writing by another program, such as a.jpg: uploaded after that program closes them"
                )
            await until(lambda: sink.observed)
            await until(lambda: not watch.in_use("a.jpg"))
            assert watch.status.detail is None
    assert [log["path"] for log in logs if log["event"] == "file.in_use"] == ["a.jpg"]


async def test_open_file_that_disappears_is_forgotten(bench, sink, looks):
    async with bench.running() as watch:
        with (bench.path / "a.jpg").open("wb") as file:
            file.write(b"x")
            file.flush()
            await until(lambda: watch.in_use("a.jpg"))
            (bench.path / "a.jpg").unlink()
            await until(lambda: not watch.in_use("a.jpg"))
    assert not sink.observed


async def test_scan_once_leaves_open_file_and_logs(bench, sink, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    (bench.path / "b.jpg").write_bytes(b"x")
    with (bench.path / "a.jpg").open("wb", buffering=0) as file, capture_logs() as logs:
        file.write(b"x")
        watch = bench.once()
        assert await watch.scan_once()
        assert sink.known.keys() == {"b.jpg"}
        assert watch.in_use("a.jpg")
    assert [log["files"] for log in logs if log["event"] == "folder.unsettled"] == [1]


async def test_scan_once_names_file_in_inspection_at_timeout(bench, sink, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    released = threading.Event()

    def slow(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        released.wait()
        return inspect(tree, seen)

    monkeypatch.setattr(debounce, "inspect", slow)
    (bench.path / "a.jpg").write_bytes(b"x")
    watch = bench.once()
    try:
        assert await watch.scan_once()
    finally:
        released.set()
    assert not sink.known
    assert watch.unsettled().keys() == {"a.jpg"}


async def test_known_file_is_not_opened(bench, sink, looks):
    for number in range(20):
        (bench.path / f"{number}.jpg").write_bytes(b"x")
    await bench.once().scan_once()
    assert len(looks) == 20
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stack.enter_context((bench.path / f"{number}.jpg").open("r+b"))
        await bench.once().scan_once()
    assert len(looks) == 20


async def test_quiet_file_is_reported_if_writers_are_unknown(bench, sink, monkeypatch):
    monkeypatch.setattr(inspection, "writer", lambda _: Writer.UNKNOWN)
    async with bench.running():
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            file.write(b"x")
            await until(lambda: sink.observed)


async def test_inspection_causes_no_event(bench, sink, looks):
    async with bench.running() as watch:
        (bench.path / "a.jpg").write_bytes(b"x")
        await until(lambda: sink.observed)
        heard = []
        watch._hints.add_file = lambda path, hint: heard.append(path)
        inspect(watch._tree, sink.observed[0])
        (bench.path / "b.jpg").write_bytes(b"x")
        await until(lambda: "b.jpg" in heard)
    assert set(heard) == {"b.jpg"}


def look(bench, name="a.jpg") -> tuple[WatchedTree, FoundFile]:
    tree = WatchedTree.of(bench.folder)
    (seen,) = (seen for seen in Scan(tree).next_batch() if seen.path == name)
    return tree, seen


def test_inspect_changed_file_is_unfinished(bench):
    (bench.path / "a.jpg").write_bytes(b"x")
    tree, seen = look(bench)
    assert inspect(tree, seen).birth_ns == tree.birth_ns("a.jpg")
    (bench.path / "a.jpg").write_bytes(b"xy")
    assert inspect(tree, seen) is Unfinished.CHANGED
    (bench.path / "a.jpg").unlink()
    assert inspect(tree, seen) is Unfinished.CHANGED


@pytest.mark.parametrize("odd", [os.mkfifo, lambda path: path.symlink_to("b.jpg")])
def test_inspect_replaced_file_neither_follows_nor_blocks(bench, odd):
    (bench.path / "a.jpg").write_bytes(b"x")
    (bench.path / "b.jpg").write_bytes(b"x")
    tree, seen = look(bench)
    (bench.path / "a.jpg").unlink()
    odd(bench.path / "a.jpg")
    with (bench.path / "b.jpg").open("r+b"):
        assert inspect(tree, seen) == seen


async def test_change_before_inspection_restarts_the_wait(bench, sink, monkeypatch):
    path = bench.path / "a.jpg"
    path.write_bytes(b"x")

    def late(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
        if path.stat().st_size == 1:
            path.write_bytes(b"xy")
        return inspect(tree, seen)

    monkeypatch.setattr(debounce, "inspect", late)
    assert await bench.once().scan_once()
    assert [seen.fingerprint.size for seen in sink.observed] == [2]


class Wall:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("granularity", [1, 2])
@pytest.mark.parametrize("event", [False, True])
async def test_file_with_racy_mtime_waits(bench, sink, granularity, event):
    """As on FAT: until its two seconds are over a file is not taken, and what it holds then is."""
    path, mtime = bench.path / "a.jpg", 1_700_000_000 + granularity % 2
    wall = Wall(mtime + granularity - 0.3)
    watch = FolderWatch(bench.folder, sink, wall=wall)
    if not event:
        path.write_bytes(b"x")
        os.utime(path, (mtime, mtime))
    task = asyncio.create_task(watch.run())
    try:
        await until(lambda: watch.status.state == "watching")
        if event:
            path.write_bytes(b"x")
            os.utime(path, (mtime, mtime))
        await until(lambda: watch.settling("a.jpg"))
        await until(lambda: (waiting := watch._queue._pending.get("a.jpg")) and waiting.not_before)
        assert not sink.observed
        wall.now = mtime + granularity + 0.1
        await until(lambda: sink.observed)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_files_with_old_or_future_mtime_do_not_wait(bench, sink):
    for name, mtime in ("old.jpg", 1_600_000_000), ("future.jpg", 1_800_000_000):
        (bench.path / name).write_bytes(b"x")
        os.utime(bench.path / name, (mtime, mtime))
    watch = FolderWatch(bench.folder, sink, wall=Wall(1_700_000_000.0))
    assert await watch.scan_once()
    assert sink.known.keys() == {"old.jpg", "future.jpg"}


async def test_rename_chain_reports_the_first_name(bench, sink):
    (bench.path / "a.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "a.jpg" in sink.known)
        for source, target in ("a.jpg", "b.jpg"), ("b.jpg", "c.jpg"):
            (bench.path / source).rename(bench.path / target)
        await until(lambda: sink.known.keys() == {"c.jpg"})
    assert sink.known["c.jpg"].moved_from == "a.jpg"


async def test_new_file_at_renamed_path_is_not_a_rename(bench, sink):
    (bench.path / "a.jpg").write_bytes(b"x")
    async with bench.running(settle=0.5):
        await until(lambda: "a.jpg" in sink.known)
        (bench.path / "a.jpg").rename(bench.path / "b.jpg")
        (bench.path / "b.jpg").unlink()
        (bench.path / "b.jpg").write_bytes(b"y")
        await until(lambda: sink.known.keys() == {"b.jpg"})
    assert sink.known["b.jpg"].moved_from is None


async def test_closed_is_set_only_by_close_event(bench, sink, other):
    (bench.path / "old.jpg").write_bytes(b"x")
    (other / "moved.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "old.jpg" in sink.known)
        (bench.path / "new.jpg").write_bytes(b"x")
        (other / "moved.jpg").rename(bench.path / "moved.jpg")
        await until(lambda: sink.known.keys() == {"old.jpg", "new.jpg", "moved.jpg"})
    assert {path: seen.closed for path, seen in sink.known.items()} == {
        "old.jpg": False,
        "new.jpg": True,
        "moved.jpg": False,
    }


async def test_replaced_file_is_recognised_by_birth_time(bench, sink):
    """One that took the inode of the first and has its size and mtime, as from a camera's card."""
    path = bench.path / "a.jpg"
    path.write_bytes(b"x")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    async with bench.running():
        await until(lambda: "a.jpg" in sink.known)
        first = sink.known["a.jpg"]
        monkey = WatchedTree.birth_ns
        try:
            WatchedTree.birth_ns = lambda self, name: monkey(self, name) + 1  # only ext4 reuses an inode at once
            with path.open("r+b"):
                pass
            os.utime(path, (1_700_000_000, 1_700_000_000))
            await until(lambda: len(sink.observed) == 2)
        finally:
            WatchedTree.birth_ns = monkey
    assert sink.known["a.jpg"].fingerprint == first.fingerprint
