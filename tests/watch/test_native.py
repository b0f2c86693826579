"""The real watchdog on real directories: however a file comes, it is found; events alone are never trusted."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from syncd.watch.observer import Observer
from tests.names import ONLY_UNIX
from tests.watch.support import until


async def test_written_file_is_found(bench, sink):
    async with bench.running():
        (bench.path / "a.jpg").write_bytes(b"x" * 10)
        await until(lambda: "a.jpg" in sink.known)
    assert sink.known["a.jpg"].fingerprint.size == 10


async def test_renamed_moved_and_linked_files_are_found(bench, sink, other):
    (other / "c.jpg").write_bytes(b"c")
    async with bench.running():
        (bench.path / "a.jpg.part").write_bytes(b"a")
        os.rename(bench.path / "a.jpg.part", bench.path / "a.jpg")
        os.link(bench.path / "a.jpg", bench.path / "b.jpg")
        os.rename(other / "c.jpg", bench.path / "c.jpg")
        await until(lambda: {"a.jpg", "b.jpg", "c.jpg"} <= sink.known.keys())


async def test_files_in_new_directories_are_found(bench, sink, other):
    want = set()
    async with bench.running():
        for n in range(30):
            folder = bench.path / f"d{n % 5}" / f"e{n}"
            folder.mkdir(parents=True)
            for m in range(10):
                (folder / f"{m}.jpg").write_bytes(b"x")
                want.add(f"d{n % 5}/e{n}/{m}.jpg")
        await until(lambda: want <= sink.known.keys())


async def test_renamed_directory_renames_its_files(bench, sink):
    (bench.path / "old" / "deep").mkdir(parents=True)
    (bench.path / "old" / "deep" / "a.jpg").write_bytes(b"x")
    async with bench.running():
        await until(lambda: "old/deep/a.jpg" in sink.known)
        os.rename(bench.path / "old", bench.path / "new")
        await until(lambda: "new/deep/a.jpg" in sink.known and "old/deep/a.jpg" not in sink.known)
        (bench.path / "new" / "deep" / "b.jpg").write_bytes(b"x")
        await until(lambda: "new/deep/b.jpg" in sink.known)


async def test_deleted_files_are_gone(bench, sink):
    (bench.path / "d").mkdir()
    for name in ("a.jpg", "d/b.jpg"):
        (bench.path / name).write_bytes(b"x")
    async with bench.running():
        await until(lambda: len(sink.known) == 2)
        (bench.path / "a.jpg").unlink()
        shutil.rmtree(bench.path / "d")
        await until(lambda: not sink.known)


async def test_open_file_is_reported_after_close(bench, sink):
    async with bench.running(settle=1.0) as watch:
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            for _ in range(20):
                file.write(b"x" * 1000)
                await until(lambda: watch.settling("a.jpg"))
            assert not sink.observed
        await until(lambda: sink.observed)
    assert [seen.fingerprint.size for seen in sink.observed] == [20_000]


@pytest.mark.unix
async def test_empty_file_is_reported_when_quiet(bench, sink):
    async with bench.running(settle=30.0):
        with (bench.path / "a.jpg").open("wb", buffering=0) as file:
            await until(
                lambda: bench.watch._queue._pending["a.jpg"].fingerprint if bench.watch.settling("a.jpg") else None
            )
            file.write(b"x")
        await until(lambda: sink.observed)
    assert [seen.unfit for seen in sink.observed] == [None]


async def test_directory_moved_in_and_out(bench, sink, other):
    (other / "d" / "deep").mkdir(parents=True)
    (other / "d" / "deep" / "a.jpg").write_bytes(b"x")
    async with bench.running():
        os.rename(other / "d", bench.path / "d")
        await until(lambda: "d/deep/a.jpg" in sink.known)
        (bench.path / "d" / "deep" / "b.jpg").write_bytes(b"x")
        await until(lambda: "d/deep/b.jpg" in sink.known)
        os.rename(bench.path / "d", other / "d")
        await until(lambda: not sink.known)


async def test_excluded_directory_renamed_to_included(bench, sink):
    async with bench.running():
        hidden = bench.path / ".unpacking"
        (hidden / "deep").mkdir(parents=True)
        (hidden / "deep" / "a.jpg").write_bytes(b"x")
        os.rename(hidden, bench.path / "album")
        await until(lambda: "album/deep/a.jpg" in sink.known)
        (bench.path / "album" / "deep" / "b.jpg").write_bytes(b"x")
        await until(lambda: "album/deep/b.jpg" in sink.known)


@pytest.mark.unix
async def test_excluded_directories_have_no_watch(bench, sink):
    for name in ("@eaDir/a", ".cache/b", "good/c"):
        (bench.path / name).mkdir(parents=True)

    def watches() -> int:
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify":
                    count += Path(f"/proc/self/fdinfo/{fd}").read_text().count("inotify wd:")
        return count

    before = watches()
    async with bench.running():
        assert watches() - before == 3
        (bench.path / "@eaDir" / "new").mkdir()
        (bench.path / "good" / "new").mkdir()
        await until(lambda: watches() - before == 4)


async def test_not_recursive_ignores_subdirectories(bench, sink):
    (bench.path / "d").mkdir()
    async with bench.running(recursive=False):
        (bench.path / "d" / "a.jpg").write_bytes(b"x")
        (bench.path / "b.jpg").write_bytes(b"x")
        await until(lambda: "b.jpg" in sink.known)
    assert sink.known.keys() == {"b.jpg"}


@pytest.mark.unix
async def test_linked_directories_are_watched(bench, sink, other):
    async with bench.running(follow_symlinks=True):
        os.symlink(other, bench.path / "linked")
        (other / "back").symlink_to(bench.path)
        await until(lambda: bench.watch._events._observer._linked)
        (other / "a.jpg").write_bytes(b"x")
        await until(lambda: "linked/a.jpg" in sink.known)
        (other / "sub").mkdir()
        (other / "sub" / "b.jpg").write_bytes(b"x")
        await until(lambda: "linked/sub/b.jpg" in sink.known)
        assert sink.known.keys() == {"linked/a.jpg", "linked/sub/b.jpg"}
        (bench.path / "linked").unlink()
        await until(lambda: not sink.known)


@pytest.mark.unix
async def test_file_before_watch_of_linked_directory_is_found(bench, sink, other, monkeypatch):
    watch_links = Observer.watch_links

    def late(self, links):
        if links:
            (other / "between.jpg").write_bytes(b"x")
        return watch_links(self, links)

    monkeypatch.setattr(Observer, "watch_links", late)
    (bench.path / "linked").symlink_to(other)
    async with bench.running(follow_symlinks=True):
        await until(lambda: "linked/between.jpg" in sink.known)


async def test_rescan_of_known_files_observes_nothing(bench, sink):
    for n in range(100):
        (bench.path / f"{n}.jpg").write_bytes(b"x")
    async with bench.running() as watch:
        await until(lambda: len(sink.observed) == 100)
        asked = sink.asked
        watch.request_rescan()
        await until(lambda: sink.asked - asked >= 100 and watch.status.state == "watching")
    assert len(sink.observed) == 100


async def test_reading_files_causes_no_hint(bench, sink):
    (bench.path / "a.jpg").write_bytes(b"x")
    async with bench.running() as watch:
        await until(lambda: "a.jpg" in sink.known and not watch.settling("a.jpg"))
        hints = []
        watch._hints.add_file = lambda path, hint: hints.append(path)
        watch._hints.add_directory = hints.append
        for _ in range(50):
            (bench.path / "a.jpg").read_bytes()
            os.listdir(bench.path)
        (bench.path / "b.jpg").write_bytes(b"x")  # what came before it has been told by then
        await until(lambda: "b.jpg" in hints)
    assert "a.jpg" not in hints


async def test_request_rescan_of_one_path(bench, sink):
    async with bench.running() as watch:
        (bench.path / "d").mkdir()
        (bench.path / "d" / "a.jpg").write_bytes(b"x")
        await until(lambda: "d/a.jpg" in sink.known)
        sink.known.clear()
        watch.request_rescan("d")
        await until(lambda: "d/a.jpg" in sink.known)
        sink.known.clear()
        watch.request_rescan(str(bench.path / "d" / "a.jpg"))
        await until(lambda: "d/a.jpg" in sink.known)
        sink.known.clear()
        watch.request_rescan("/somewhere/else")
        watch.request_rescan(str(bench.path))
        await until(lambda: "d/a.jpg" in sink.known)


async def test_periodic_rescan_finds_file_without_event(bench, sink):
    async with bench.running(rescan=0.2) as watch:
        watch._hints.add_file = lambda path, hint: None
        (bench.path / "a.jpg").write_bytes(b"x")
        await until(lambda: "a.jpg" in sink.known)


async def test_hints_over_the_limit_cause_a_rescan(bench, sink, monkeypatch):
    monkeypatch.setattr("syncd.watch.debounce.MAX_PENDING_FILES", 50)
    monkeypatch.setattr("syncd.watch.reconciler.MAX_PENDING_FILES", 50)
    monkeypatch.setattr("syncd.watch.folder.CHECK_INTERVAL_SECONDS", 0.1)
    async with bench.running():
        for n in range(1000):
            (bench.path / f"{n}.jpg").write_bytes(b"x")
        await until(lambda: len(sink.known) == 1000)


@pytest.mark.parametrize("name", [*ONLY_UNIX, "é" * 125 + "a.jpg", "!#.jpg", " .jpg"])
async def test_odd_names_are_found_and_gone(bench, sink, name):
    async with bench.running():
        (bench.path / name).write_bytes(b"x")
        await until(lambda: name in sink.known)
        (bench.path / name).unlink()
        await until(lambda: not sink.known)


@pytest.mark.unix
async def test_special_file_is_unfit(bench, sink):
    async with bench.running():
        os.mkfifo(bench.path / "p.jpg")
        await until(lambda: "p.jpg" in sink.known)
    assert sink.known["p.jpg"].unfit == "not a regular file"
