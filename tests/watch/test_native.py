"""Real events in real folders: each new file is found, and scans need no events."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from syncd.watch.observer import Observer
from tests.names import ONLY_UNIX
from tests.support.wait import wait_until
from tests.watch.support import set_age


async def test_written_file_is_found(harness, records):
    async with harness.running():
        (harness.path / "a.jpg").write_bytes(b"x" * 10)
        await wait_until(lambda: "a.jpg" in records.known)
    assert records.known["a.jpg"].fingerprint.size == 10


async def test_renamed_moved_and_linked_files_are_found(harness, records, other):
    (other / "c.jpg").write_bytes(b"c")
    async with harness.running():
        (harness.path / "a.jpg.part").write_bytes(b"a")
        os.rename(harness.path / "a.jpg.part", harness.path / "a.jpg")
        os.link(harness.path / "a.jpg", harness.path / "b.jpg")
        os.rename(other / "c.jpg", harness.path / "c.jpg")
        await wait_until(lambda: {"a.jpg", "b.jpg", "c.jpg"} <= records.known.keys())


async def test_files_in_new_directories_are_found(harness, records, other):
    want = set()
    async with harness.running():
        for n in range(30):
            folder = harness.path / f"d{n % 5}" / f"e{n}"
            folder.mkdir(parents=True)
            for m in range(10):
                (folder / f"{m}.jpg").write_bytes(b"x")
                want.add(f"d{n % 5}/e{n}/{m}.jpg")
        await wait_until(lambda: want <= records.known.keys())


async def test_renamed_directory_renames_its_files(harness, records):
    (harness.path / "old" / "deep").mkdir(parents=True)
    (harness.path / "old" / "deep" / "a.jpg").write_bytes(b"x")
    async with harness.running():
        await wait_until(lambda: "old/deep/a.jpg" in records.known)
        os.rename(harness.path / "old", harness.path / "new")
        await wait_until(lambda: "new/deep/a.jpg" in records.known and "old/deep/a.jpg" not in records.known)
        (harness.path / "new" / "deep" / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "new/deep/b.jpg" in records.known)


async def test_deleted_files_are_gone(harness, records):
    (harness.path / "d").mkdir()
    for name in ("a.jpg", "d/b.jpg"):
        (harness.path / name).write_bytes(b"x")
    async with harness.running():
        await wait_until(lambda: len(records.known) == 2)
        (harness.path / "a.jpg").unlink()
        shutil.rmtree(harness.path / "d")
        await wait_until(lambda: not records.known)


async def test_open_file_is_reported_after_close(harness, records):
    async with harness.running(settle=1.0) as watch:
        with (harness.path / "a.jpg").open("wb", buffering=0) as file:
            for _ in range(20):
                file.write(b"x" * 1000)
                await wait_until(lambda: watch.settling("a.jpg"))
            assert not records.observed
        await wait_until(lambda: records.observed)
    assert [seen.fingerprint.size for seen in records.observed] == [20_000]


@pytest.mark.unix
async def test_empty_file_is_reported_when_quiet(harness, records):
    async with harness.running(settle=30.0):
        with (harness.path / "a.jpg").open("wb", buffering=0) as file:
            await wait_until(
                lambda: harness.watch._queue._pending["a.jpg"].fingerprint if harness.watch.settling("a.jpg") else None
            )
            file.write(b"x")
        await wait_until(lambda: records.observed)
    assert [seen.unfit for seen in records.observed] == [None]


async def test_moved_directory_adds_and_removes_its_files(harness, records, other):
    (other / "d" / "deep").mkdir(parents=True)
    (other / "d" / "deep" / "a.jpg").write_bytes(b"x")
    async with harness.running():
        os.rename(other / "d", harness.path / "d")
        await wait_until(lambda: "d/deep/a.jpg" in records.known)
        (harness.path / "d" / "deep" / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "d/deep/b.jpg" in records.known)
        os.rename(harness.path / "d", other / "d")
        await wait_until(lambda: not records.known)


async def test_excluded_directory_renamed_to_included_is_scanned(harness, records):
    async with harness.running():
        hidden = harness.path / ".unpacking"
        (hidden / "deep").mkdir(parents=True)
        (hidden / "deep" / "a.jpg").write_bytes(b"x")
        os.rename(hidden, harness.path / "album")
        await wait_until(lambda: "album/deep/a.jpg" in records.known)
        (harness.path / "album" / "deep" / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "album/deep/b.jpg" in records.known)


@pytest.mark.unix
async def test_excluded_directories_have_no_watch(harness, records):
    for name in ("@eaDir/a", ".cache/b", "good/c"):
        (harness.path / name).mkdir(parents=True)

    def watches() -> int:
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify":
                    count += Path(f"/proc/self/fdinfo/{fd}").read_text().count("inotify wd:")
        return count

    before = watches()
    async with harness.running():
        assert watches() - before == 3
        (harness.path / "@eaDir" / "new").mkdir()
        (harness.path / "good" / "new").mkdir()
        await wait_until(lambda: watches() - before == 4)


async def test_scan_not_recursive_ignores_subdirectories(harness, records):
    (harness.path / "d").mkdir()
    async with harness.running(recursive=False):
        (harness.path / "d" / "a.jpg").write_bytes(b"x")
        (harness.path / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "b.jpg" in records.known)
    assert records.known.keys() == {"b.jpg"}


@pytest.mark.unix
async def test_linked_directories_are_watched(harness, records, other):
    async with harness.running(follow_symlinks=True):
        os.symlink(other, harness.path / "linked")
        (other / "back").symlink_to(harness.path)
        await wait_until(lambda: harness.watch._events._observer._linked)
        (other / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "linked/a.jpg" in records.known)
        (other / "sub").mkdir()
        (other / "sub" / "b.jpg").write_bytes(b"x")
        await wait_until(lambda: "linked/sub/b.jpg" in records.known)
        assert records.known.keys() == {"linked/a.jpg", "linked/sub/b.jpg"}
        (harness.path / "linked").unlink()
        await wait_until(lambda: not records.known)


@pytest.mark.unix
async def test_file_before_watch_of_linked_directory_is_found(harness, records, other, monkeypatch):
    watch_links = Observer.watch_links

    def late(self, links):
        if links:
            (other / "between.jpg").write_bytes(b"x")
        return watch_links(self, links)

    monkeypatch.setattr(Observer, "watch_links", late)
    (harness.path / "linked").symlink_to(other)
    async with harness.running(follow_symlinks=True):
        await wait_until(lambda: "linked/between.jpg" in records.known)


async def test_rescan_of_known_files_observes_nothing(harness, records):
    for n in range(100):
        (harness.path / f"{n}.jpg").write_bytes(b"x")
    async with harness.running() as watch:
        await wait_until(lambda: len(records.observed) == 100)
        asked = records.asked
        watch.request_rescan()
        await wait_until(lambda: records.asked - asked >= 100 and watch.status.state == "watching")
    assert len(records.observed) == 100


async def test_only_first_scan_finds_backlog(harness, records, other):
    """Files that events, a moved directory or a periodic rescan report are new."""
    (harness.path / "old.jpg").write_bytes(b"x")
    (harness.path / "quiet.jpg").write_bytes(b"x")
    set_age(harness.path / "quiet.jpg")
    async with harness.running(rescan=0.2) as watch:
        await wait_until(lambda: {"old.jpg", "quiet.jpg"} <= records.known.keys())
        (harness.path / "new.jpg").write_bytes(b"x")
        (other / "d").mkdir()
        (other / "d" / "moved.jpg").write_bytes(b"x")
        set_age(other / "d" / "moved.jpg")
        (other / "d").rename(harness.path / "d")
        await wait_until(lambda: {"new.jpg", "d/moved.jpg"} <= records.known.keys())
        watch._hints.add_file = lambda path, hint: None
        (harness.path / "missed.jpg").write_bytes(b"x")
        await wait_until(lambda: "missed.jpg" in records.known)
    assert {path for path, found in records.known.items() if found.backlog} == {"old.jpg", "quiet.jpg"}


async def test_event_for_file_of_backlog_makes_it_new(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    async with harness.running(settle=1.0):
        (harness.path / "a.jpg").write_bytes(b"xy")
        await wait_until(lambda: "a.jpg" in records.known)
    assert not records.known["a.jpg"].backlog


async def test_reading_files_causes_no_hint(harness, records):
    (harness.path / "a.jpg").write_bytes(b"x")
    async with harness.running() as watch:
        await wait_until(lambda: "a.jpg" in records.known and not watch.settling("a.jpg"))
        hints = []
        watch._hints.add_file = lambda path, hint: hints.append(path)
        watch._hints.add_directory = hints.append
        for _ in range(50):
            (harness.path / "a.jpg").read_bytes()
            os.listdir(harness.path)
        (harness.path / "b.jpg").write_bytes(b"x")  # by then, all earlier events have arrived
        await wait_until(lambda: "b.jpg" in hints)
    assert "a.jpg" not in hints


async def test_request_rescan_of_one_path(harness, records):
    async with harness.running() as watch:
        (harness.path / "d").mkdir()
        (harness.path / "d" / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "d/a.jpg" in records.known)
        records.known.clear()
        watch.request_rescan("d")
        await wait_until(lambda: "d/a.jpg" in records.known)
        records.known.clear()
        watch.request_rescan(str(harness.path / "d" / "a.jpg"))
        await wait_until(lambda: "d/a.jpg" in records.known)
        records.known.clear()
        watch.request_rescan("/somewhere/else")
        watch.request_rescan(str(harness.path))
        await wait_until(lambda: "d/a.jpg" in records.known)


async def test_periodic_rescan_finds_file_without_event(harness, records):
    async with harness.running(rescan=0.2) as watch:
        watch._hints.add_file = lambda path, hint: None
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


async def test_hints_over_the_limit_cause_a_rescan(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.debounce.MAX_PENDING_FILES", 50)
    monkeypatch.setattr("syncd.watch.scans.MAX_PENDING_FILES", 50)
    monkeypatch.setattr("syncd.watch.folder.CHECK_INTERVAL_SECONDS", 0.1)
    async with harness.running():
        for n in range(1000):
            (harness.path / f"{n}.jpg").write_bytes(b"x")
        await wait_until(lambda: len(records.known) == 1000)


@pytest.mark.parametrize("name", [*ONLY_UNIX, "é" * 125 + "a.jpg", "!#.jpg", " .jpg"])
async def test_names_of_any_bytes_are_found_and_gone(harness, records, name):
    async with harness.running():
        (harness.path / name).write_bytes(b"x")
        await wait_until(lambda: name in records.known)
        (harness.path / name).unlink()
        await wait_until(lambda: not records.known)


@pytest.mark.unix
async def test_special_file_is_unfit(harness, records):
    async with harness.running():
        os.mkfifo(harness.path / "p.jpg")
        await wait_until(lambda: "p.jpg" in records.known)
    assert records.known["p.jpg"].unfit == "not a regular file"
