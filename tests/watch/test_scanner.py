"""One full scan of a real folder: what is found, what is unfit, what is never touched."""

import os
import socket

import pytest

from syncd.watch.scanner import EMPTY, NOT_REGULAR, Scan, WatchedTree


def walk(bench, start="", **changes):
    """Return the scan and what it found, path → why it is unfit."""
    scan = Scan(WatchedTree.of(bench.folder.model_copy(update=changes)), start)
    found = {}
    while (batch := scan.next_batch()) is not None:
        for seen in batch:
            assert seen.path not in found
            found[seen.path] = seen.unfit
    return scan, found


def fill(bench, *paths):
    for path in paths:
        full = os.path.join(os.fsencode(bench.path), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(b"x")


def test_scan_finds_matching_files(bench):
    fill(bench, "a.jpg", "d/e/f/b.JPG", "c.doc", ".h/c.jpg", "@eaDir/d.jpg")
    assert walk(bench)[1] == {"a.jpg": None, "d/e/f/b.JPG": None}


@pytest.mark.unix
def test_scan_finds_names_of_any_bytes(bench):
    names = [
        "\udcff\udc80.jpg",
        "new\nline\n/x\n.jpg",
        "é" * 125 + "a.jpg",
        " lead.jpg",
        "!a.jpg",
        "#b.jpg",
        "-c\\d.jpg",
    ]
    fill(bench, *names)
    assert walk(bench)[1].keys() == set(names)


def test_scan_not_recursive(bench):
    fill(bench, "a.jpg", "d/b.jpg")
    assert walk(bench, recursive=False)[1] == {"a.jpg": None}
    assert walk(bench, start="d", recursive=False)[1] == {}


def test_scan_marks_unfit_files(bench):
    fill(bench, "ok.jpg")
    (bench.path / "none.jpg").touch()
    with open(bench.path / "big.jpg", "wb") as file:
        file.truncate(2049)
    (bench.path / "edge.jpg").write_bytes(bytes(2048))
    found = walk(bench, max_size=2048)[1]
    assert found == {"ok.jpg": None, "edge.jpg": None, "none.jpg": EMPTY, "big.jpg": "larger than max_size (2KiB)"}


@pytest.mark.unix
def test_scan_marks_special_files_unopened(bench):
    os.mkfifo(bench.path / "pipe.jpg")  # opening it would block for ever
    os.mkfifo(bench.path / "pipe.doc")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bench.path / "sock.jpg"))
        assert walk(bench)[1] == {"pipe.jpg": NOT_REGULAR, "sock.jpg": NOT_REGULAR}


@pytest.mark.unix
def test_scan_ignores_symlinks(bench, other):
    fill(bench, "real.jpg")
    (other / "b.jpg").write_bytes(b"x")
    os.symlink(other, bench.path / "linked")
    os.symlink(other / "b.jpg", bench.path / "b.jpg")
    assert walk(bench)[1] == {"real.jpg": None}


@pytest.mark.unix
def test_scan_follows_symlinks_without_loops(bench, other):
    fill(bench, "d/real.jpg")
    (other / "sub").mkdir()
    (other / "sub" / "b.jpg").write_bytes(b"bbb")
    os.symlink(other, bench.path / "linked")
    os.symlink(other, bench.path / "again")
    os.symlink(bench.path, other / "back")
    os.symlink(bench.path / "d", bench.path / "aa")
    os.symlink(other / "sub" / "b.jpg", bench.path / "b.jpg")
    os.symlink("missing", bench.path / "broken.jpg")
    os.symlink("self.jpg", bench.path / "self.jpg")
    scan, found = walk(bench, follow_symlinks=True)
    assert found == {"d/real.jpg": None, "again/sub/b.jpg": None, "b.jpg": None}
    assert scan.links == ["again"]
    assert not scan.unreadable
    tree = WatchedTree.of(bench.folder.model_copy(update={"follow_symlinks": True}))
    fingerprint = tree.find_file("b.jpg").fingerprint
    assert (fingerprint.size, fingerprint.inode) == (3, os.stat(other / "sub" / "b.jpg").st_ino)


@pytest.fixture
def deep(bench):
    """Make a path of 1,500 folders; taken away step by step, for rmtree would need as many stack frames."""
    path = bench.path
    for _ in range(1500):
        path = path / "d"
        path.mkdir()
    yield str(path.relative_to(bench.path))
    (path / "a.jpg").unlink()
    os.removedirs(path)


@pytest.mark.unix
def test_scan_of_deep_path_does_not_recurse(bench, deep):
    (bench.path / deep / "a.jpg").write_bytes(b"x")
    assert walk(bench)[1] == {f"{deep}/a.jpg": None}


def test_scan_records_unreadable_directory_and_continues(bench, monkeypatch):
    fill(bench, "a.jpg", "closed/b.jpg", "open/c.jpg")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    scan, found = walk(bench)
    assert found.keys() == {"a.jpg", "open/c.jpg"}
    assert scan.unreadable == {"closed": "Permission denied"}


def test_scan_of_missing_folder_raises(bench):
    bench.path.rmdir()
    with pytest.raises(FileNotFoundError):
        walk(bench)


def test_scan_below_missing_directory_finds_nothing(bench):
    scan, found = walk(bench, start="gone")
    assert (found, scan.unreadable) == ({}, {})
