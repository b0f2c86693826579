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
async def test_a_writer_that_pauses(bench, sink, looks, watch):
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


async def test_a_file_that_is_open_at_the_start(bench, sink, looks):
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


async def test_an_empty_file_that_is_being_written(bench, sink, looks):
    async with bench.running():
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            await until(lambda: looks.count(Unfinished.IN_USE) > 2)
            file.write(b"x")
        await until(lambda: sink.observed)
    assert [seen.unfit for seen in sink.observed] == [None]


async def test_a_map_whose_descriptor_is_closed(bench, sink, looks):
    (bench.path / "a.jpg").write_bytes(b"x" * 5000)
    with (bench.path / "a.jpg").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    async with bench.running():
        await until(lambda: looks.count(Unfinished.IN_USE) > 2)
        assert not sink.observed
        mapped[:1] = b"y"
        mapped.close()
        await until(lambda: sink.observed)


async def test_people_see_why_and_the_log_tells_it_once(bench, sink, looks):
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


async def test_a_file_that_goes_while_it_is_open_is_forgotten(bench, sink, looks):
    async with bench.running() as watch:
        with (bench.path / "a.jpg").open("wb") as file:
            file.write(b"x")
            file.flush()
            await until(lambda: watch.in_use("a.jpg"))
            (bench.path / "a.jpg").unlink()
            await until(lambda: not watch.in_use("a.jpg"))
    assert not sink.observed


async def test_a_single_pass_leaves_it_and_says_so(bench, sink, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    (bench.path / "b.jpg").write_bytes(b"x")
    with (bench.path / "a.jpg").open("wb", buffering=0) as file, capture_logs() as logs:
        file.write(b"x")
        watch = bench.once()
        assert await watch.scan_once()
        assert sink.known.keys() == {"b.jpg"}
        assert watch.in_use("a.jpg")
    assert [log["files"] for log in logs if log["event"] == "folder.unsettled"] == [1]


async def test_a_single_pass_names_what_is_being_looked_at_when_its_patience_ends(bench, sink, monkeypatch):
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


async def test_what_is_known_is_not_opened(bench, sink, looks):
    for number in range(20):
        (bench.path / f"{number}.jpg").write_bytes(b"x")
    await bench.once().scan_once()
    assert len(looks) == 20
    with contextlib.ExitStack() as stack:
        for number in range(20):
            stack.enter_context((bench.path / f"{number}.jpg").open("r+b"))
        await bench.once().scan_once()
    assert len(looks) == 20


async def test_where_it_can_not_be_told_quiet_is_enough(bench, sink, monkeypatch):
    monkeypatch.setattr(inspection, "writer", lambda _: Writer.UNKNOWN)
    async with bench.running():
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            file.write(b"x")
            await until(lambda: sink.observed)


async def test_the_look_makes_no_event(bench, sink, looks):
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


def test_a_file_that_has_changed_since_it_was_seen(bench):
    (bench.path / "a.jpg").write_bytes(b"x")
    tree, seen = look(bench)
    assert inspect(tree, seen).birth_ns == tree.birth_ns("a.jpg")
    (bench.path / "a.jpg").write_bytes(b"xy")
    assert inspect(tree, seen) is Unfinished.CHANGED
    (bench.path / "a.jpg").unlink()
    assert inspect(tree, seen) is Unfinished.CHANGED


@pytest.mark.parametrize("odd", [os.mkfifo, lambda path: path.symlink_to("b.jpg")])
def test_what_has_taken_a_file_s_place_is_neither_followed_nor_waited_for(bench, odd):
    (bench.path / "a.jpg").write_bytes(b"x")
    (bench.path / "b.jpg").write_bytes(b"x")
    tree, seen = look(bench)
    (bench.path / "a.jpg").unlink()
    odd(bench.path / "a.jpg")
    with (bench.path / "b.jpg").open("r+b"):
        assert inspect(tree, seen) == seen


async def test_a_change_between_the_look_and_the_last_look(bench, sink, monkeypatch):
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
async def test_an_mtime_that_may_hide_a_change_is_waited_for(bench, sink, granularity, event):
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


async def test_old_and_future_mtimes_are_not_waited_for(bench, sink):
    for name, mtime in ("old.jpg", 1_600_000_000), ("future.jpg", 1_800_000_000):
        (bench.path / name).write_bytes(b"x")
        os.utime(bench.path / name, (mtime, mtime))
    watch = FolderWatch(bench.folder, sink, wall=Wall(1_700_000_000.0))
    assert await watch.scan_once()
    assert sink.known.keys() == {"old.jpg", "future.jpg"}


async def test_a_rename_is_told_of_with_the_first_name_of_several(bench, sink):
    (bench.path / "a.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "a.jpg" in sink.known)
        for source, target in ("a.jpg", "b.jpg"), ("b.jpg", "c.jpg"):
            (bench.path / source).rename(bench.path / target)
        await until(lambda: sink.known.keys() == {"c.jpg"})
    assert sink.known["c.jpg"].moved_from == "a.jpg"


async def test_a_file_in_the_place_of_a_renamed_one_is_not_renamed(bench, sink):
    (bench.path / "a.jpg").write_bytes(b"x")
    async with bench.running(settle=0.5):
        await until(lambda: "a.jpg" in sink.known)
        (bench.path / "a.jpg").rename(bench.path / "b.jpg")
        (bench.path / "b.jpg").unlink()
        (bench.path / "b.jpg").write_bytes(b"y")
        await until(lambda: sink.known.keys() == {"b.jpg"})
    assert sink.known["b.jpg"].moved_from is None


async def test_only_a_close_that_was_told_is_passed_on(bench, sink, other):
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


async def test_another_file_that_looks_the_same_is_told_by_its_birth(bench, sink):
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
