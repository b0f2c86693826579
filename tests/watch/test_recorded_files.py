"""Scans that compare the folder with the pages of its records."""

import asyncio
import os

import pytest

from syncd.watch.recorded_files import RecordedFiles
from syncd.watch.scanner import WatchedTree
from syncd.watch.walk import Scan
from tests.watch.support import set_age

NAMES = ["a.jpg", "a/b.jpg", "a/c/d.jpg", "a-b/c.jpg", "b.jpg", "b0.jpg", "\U0001f431.jpg", "\uffff.jpg"]


@pytest.fixture
def files(harness):
    """Create old files, whose order by parts and by bytes differ."""
    for name in NAMES:
        path = harness.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        set_age(path)
    return harness.path


@pytest.fixture(params=[1, 2, 3, 100])
def page_size(request, monkeypatch):
    for module in "recorded_files", "debounce":
        monkeypatch.setattr(f"syncd.watch.{module}.PAGE_SIZE", request.param)
    return request.param


@pytest.mark.parametrize("at_once", [3, 10_000])
def test_walk_visits_paths_in_order_of_bytes(harness, files, monkeypatch, at_once):
    monkeypatch.setattr("syncd.watch.walk.SORTED_AT_ONCE", at_once)
    scan = Scan(WatchedTree.of(harness.folder))
    found = []
    while (batch := scan.next_batch()) is not None:
        found += [seen.path for seen in batch]
    assert found == sorted(NAMES, key=os.fsencode)
    assert scan.entries == len(NAMES) + 3


async def test_load_page_reads_next_page_ahead(monkeypatch):
    monkeypatch.setattr("syncd.watch.recorded_files.PAGE_SIZE", 2)
    asked = []

    async def read(after):
        asked.append(after)
        return {b"c": None} if after else {b"a": None, b"b": None}

    recorded = RecordedFiles(read, max_size=1, settle=0, wall=0)
    for _ in range(2):
        await recorded.load_page()
        await asyncio.sleep(0)  # a task for the next page runs
        assert asked == [b"", b"b"]


async def test_rescan_reports_only_differences(harness, records, files, page_size):
    assert await harness.once().scan_once()
    assert records.known.keys() == set(NAMES)
    records.asked, records.observed = 0, []
    assert await harness.once().scan_once()
    assert records.asked == 0
    (files / "a/b.jpg").write_bytes(b"changed")
    (files / "a/new.jpg").write_bytes(b"x")
    for name in "a/b.jpg", "a/new.jpg":
        set_age(files / name)
    for name in "a-b/c.jpg", "\uffff.jpg", "a.jpg":
        (files / name).unlink()
    assert await harness.once().scan_once()
    assert sorted(seen.path for seen in records.observed) == ["a/b.jpg", "a/new.jpg"]
    assert sorted(records.gone) == ["a-b/c.jpg", "a.jpg", "\uffff.jpg"]
    assert records.known.keys() == {path.relative_to(files).as_posix() for path in files.rglob("*.jpg")}


async def test_rescan_keeps_records_of_files_that_no_longer_match(harness, records, files, page_size):
    assert await harness.once().scan_once()
    assert await harness.once(exclude=("a/",)).scan_once()
    assert not records.gone


async def test_rescan_finds_missing_files_beyond_pending_limit(harness, records, files, page_size, monkeypatch):
    assert await harness.once().scan_once()
    monkeypatch.setattr("syncd.watch.recorded_files.MAX_PENDING_FILES", 2)
    for name in NAMES[1:]:
        (files / name).unlink()
    assert await harness.once().scan_once()
    assert records.known.keys() == {"a.jpg"}


async def test_rescan_reports_unchanged_file_without_stamp(harness, records, files):
    assert await harness.once().scan_once()
    page = records.page

    async def without_stamp(*args):
        return {path: None if path == b"b.jpg" else stamp for path, stamp in (await page(*args)).items()}

    records.page, records.asked = without_stamp, 0
    assert await harness.once().scan_once()
    assert records.asked == 1


@pytest.mark.parametrize("changes", [{"size": 0}, {"size": 11}, {"mtime_ns": 999_999_999_999}])
def test_unfit_or_recent_file_does_not_equal_its_record(files, changes):
    status = os.stat(files / "a.jpg")
    values = {"size": 5, "mtime_ns": 10**9} | changes

    async def unread(_: bytes) -> None:
        return None

    class Status:
        st_ino, st_size, st_mtime_ns = status.st_ino, values["size"], values["mtime_ns"]

    recorded = RecordedFiles(unread, max_size=10, settle=3.0, wall=1000.0)
    recorded.add({b"a.jpg": (Status.st_ino, Status.st_size, Status.st_mtime_ns)})
    assert not recorded.equals(b"a.jpg", Status)
    recorded.add({b"a.jpg": (Status.st_ino, 5, 10**9)})
    Status.st_size, Status.st_mtime_ns = 5, 10**9
    assert recorded.equals(b"a.jpg", Status)
