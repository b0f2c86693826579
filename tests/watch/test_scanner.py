"""Full scans of a real folder: found files, unfit files and ignored ones."""

import os
import socket
import sys
from types import SimpleNamespace

import pytest

from syncd.core.settle import TICK
from syncd.watch.scanner import EMPTY, NOT_REGULAR, WatchedTree
from syncd.watch.walk import Scan


def walk(harness, start="", **changes):
    """Return the scan and each found path with the reason why it is unfit."""
    scan = Scan(WatchedTree.of(harness.folder.model_copy(update=changes)), start)
    found = {}
    while (batch := scan.next_batch()) is not None:
        for seen in batch:
            assert seen.path not in found
            found[seen.path] = seen.unfit
    return scan, found


def fill(harness, *paths):
    for path in paths:
        full = os.path.join(os.fsencode(harness.path), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(b"x")


def test_scan_finds_matching_files(harness):
    fill(harness, "a.jpg", "d/e/f/b.JPG", "c.doc", ".h/c.jpg", "@eaDir/d.jpg")
    assert walk(harness)[1] == {"a.jpg": None, "d/e/f/b.JPG": None}


@pytest.mark.unix
def test_scan_finds_names_of_any_bytes(harness):
    names = [
        "\udcff\udc80.jpg",
        "new\nline\n/x\n.jpg",
        "é" * 125 + "a.jpg",
        " lead.jpg",
        "!a.jpg",
        "#b.jpg",
        "-c\\d.jpg",
    ]
    fill(harness, *names)
    assert walk(harness)[1].keys() == set(names)


def test_scan_not_recursive(harness):
    fill(harness, "a.jpg", "d/b.jpg")
    assert walk(harness, recursive=False)[1] == {"a.jpg": None}
    assert walk(harness, start="d", recursive=False)[1] == {}


def test_scan_marks_unfit_files(harness):
    fill(harness, "ok.jpg")
    (harness.path / "none.jpg").touch()
    with open(harness.path / "big.jpg", "wb") as file:
        file.truncate(2049)
    (harness.path / "edge.jpg").write_bytes(bytes(2048))
    found = walk(harness, max_size=2048)[1]
    assert found == {"ok.jpg": None, "edge.jpg": None, "none.jpg": EMPTY, "big.jpg": "larger than max_size (2KiB)"}


@pytest.mark.unix
def test_scan_marks_special_files_unopened(harness):
    os.mkfifo(harness.path / "pipe.jpg")  # opening it would block for ever
    os.mkfifo(harness.path / "pipe.doc")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(harness.path / "sock.jpg"))
        assert walk(harness)[1] == {"pipe.jpg": NOT_REGULAR, "sock.jpg": NOT_REGULAR}


@pytest.mark.unix
def test_scan_ignores_symlinks(harness, other):
    fill(harness, "real.jpg")
    (other / "b.jpg").write_bytes(b"x")
    os.symlink(other, harness.path / "linked")
    os.symlink(other / "b.jpg", harness.path / "b.jpg")
    assert walk(harness)[1] == {"real.jpg": None}


@pytest.mark.unix
def test_scan_follows_symlinks_without_loops(harness, other):
    fill(harness, "d/real.jpg")
    (other / "sub").mkdir()
    (other / "sub" / "b.jpg").write_bytes(b"bbb")
    os.symlink(other, harness.path / "linked")
    os.symlink(other, harness.path / "again")
    os.symlink(harness.path, other / "back")
    os.symlink(harness.path / "d", harness.path / "aa")
    os.symlink(other / "sub" / "b.jpg", harness.path / "b.jpg")
    os.symlink("missing", harness.path / "broken.jpg")
    os.symlink("self.jpg", harness.path / "self.jpg")
    scan, found = walk(harness, follow_symlinks=True)
    assert found == {"d/real.jpg": None, "again/sub/b.jpg": None, "b.jpg": None}
    assert scan.links == ["again"]
    assert not scan.unreadable
    tree = WatchedTree.of(harness.folder.model_copy(update={"follow_symlinks": True}))
    fingerprint = tree.find_file("b.jpg").fingerprint
    assert (fingerprint.size, fingerprint.inode) == (3, os.stat(other / "sub" / "b.jpg").st_ino)


def test_scan_counts_files_left_out_by_patterns(harness):
    fill(harness, "a.jpg", "clip.mp4", "d/CLIP.MOV", "d/notes.pdf", ".hidden.mp4", "d/a.part", "raw/b.jpg")
    harness.folder = harness.folder.model_copy(update={"exclude": ("raw/",)})
    (harness.path / "folder.mp4").mkdir()
    scan, found = walk(harness)
    assert found == {"a.jpg": None}
    assert (scan.left_out.files, scan.left_out.videos) == (3, 2)


@pytest.fixture
def deep(harness):
    """Create a path of 1,500 folders.

    Remove them one by one, because rmtree would exceed the stack.
    """
    path = harness.path
    for _ in range(1500):
        path = path / "d"
        path.mkdir()
    yield str(path.relative_to(harness.path))
    (path / "a.jpg").unlink()
    os.removedirs(path)


@pytest.mark.unix
def test_scan_of_deep_path_does_not_recurse(harness, deep):
    (harness.path / deep / "a.jpg").write_bytes(b"x")
    assert walk(harness)[1] == {f"{deep}/a.jpg": None}


def test_scan_records_unreadable_directory_and_continues(harness, monkeypatch):
    fill(harness, "a.jpg", "closed/b.jpg", "open/c.jpg")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    scan, found = walk(harness)
    assert found.keys() == {"a.jpg", "open/c.jpg"}
    assert scan.unreadable == {"closed": "Permission denied"}


def test_scan_of_missing_folder_raises(harness):
    harness.path.rmdir()
    with pytest.raises(FileNotFoundError):
        walk(harness)


def test_scan_below_missing_directory_finds_nothing(harness):
    scan, found = walk(harness, start="gone")
    assert (found, scan.unreadable) == ({}, {})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_mtime_tick_is_the_kernels_only_on_local_file_systems(harness, monkeypatch):
    tree = WatchedTree.of(harness.folder)
    monkeypatch.setattr("syncd.watch.scanner.remote_file_system", lambda _: None)
    monkeypatch.setattr("syncd.watch.scanner.time", SimpleNamespace(clock_getres=lambda _: 0.004))
    assert tree.mtime_tick() == 0.008
    monkeypatch.setattr("syncd.watch.scanner.time", SimpleNamespace(clock_getres=lambda _: 1.0))
    assert tree.mtime_tick() == TICK
    monkeypatch.setattr("syncd.watch.scanner.time", SimpleNamespace(clock_getres=lambda _: 0.004))
    monkeypatch.setattr("syncd.watch.scanner.remote_file_system", lambda _: "nfs")
    assert tree.mtime_tick() == TICK
    monkeypatch.setattr("syncd.watch.scanner.remote_file_system", lambda _: None)
    for platform in "win32", "darwin":
        monkeypatch.setattr("syncd.watch.scanner.sys", SimpleNamespace(platform=platform))
        assert tree.mtime_tick() == TICK
