"""Writing below a folder: free names, and file systems without some features."""

import hashlib
import os

import pytest

from syncd.core.model import Content
from syncd.recovery.restore_folder import RestoreFolder, UnsafeNameError

DATA = b"some bytes"
KEY = hashlib.sha256(DATA).hexdigest()


class Hasher:
    def __init__(self):
        self._hash = hashlib.sha256()

    def update(self, data):
        self._hash.update(data)

    def content(self):
        return Content(key=self._hash.hexdigest(), size=0)


@pytest.fixture
def target(tmp_path):
    with RestoreFolder(str(tmp_path / "root")) as target:
        yield target


def put(target, name="sub/a.jpg", data=DATA):
    file = target.file(name)
    try:
        with file.partial_file() as part:
            assert part.write(data)
            file.finish(part, 10**18 + 1)
    finally:
        file.close()


def listing(target):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(target.root) for name in names)


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_restore_folder_existing_name_is_kept(target, monkeypatch, links):
    if not links:

        def link(*_, **__):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    put(target)
    (path,) = listing(target)
    assert path == f"{target.root}/sub/a.jpg"
    assert os.stat(path).st_mtime_ns == 10**18 + 1
    with pytest.raises(FileExistsError):
        put(target, data=b"other")
    assert listing(target) == [path]
    with open(path, "rb") as file:
        assert file.read() == DATA


def test_restore_folder_unfinished_part_is_removed(target):
    file = target.file("a.jpg")
    with file.partial_file() as part:
        part.write(DATA)
        assert part.matches(len(DATA), Hasher(), KEY)
        assert not part.matches(len(DATA), Hasher(), "0" * 64)
        part.restart()
        assert not part.matches(len(DATA), Hasher(), KEY)
        (hidden,) = listing(target)
        assert os.path.basename(hidden).startswith(".")
    assert listing(target) == []
    file.close()


def test_restore_folder_leftovers_are_removed(target):
    """After a kill between link and unlink, the file has both names."""
    put(target, "a.jpg")
    file = target.file("a.jpg")
    with file.partial_file():
        (hidden,) = set(listing(target)) - {f"{target.root}/a.jpg"}
    os.link(f"{target.root}/a.jpg", hidden)
    file.remove_partial()
    file.remove_partial()
    file.close()
    assert listing(target) == [f"{target.root}/a.jpg"]


def test_restore_folder_existing_hidden_name_is_kept(target, tmp_path):
    file = target.file("a.jpg")
    with file.partial_file():
        (hidden,) = listing(target)
    (tmp_path / "precious").write_bytes(b"precious")
    os.symlink(tmp_path / "precious", hidden)
    with file.partial_file() as part:
        part.write(DATA)
        file.finish(part, 0)
    file.close()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert listing(target) == [f"{target.root}/a.jpg"]


def test_restore_folder_existing_file_is_compared(target):
    put(target, "a.jpg")
    for name, size, key, held in (
        ("a.jpg", len(DATA), KEY, True),
        ("a.jpg", len(DATA), "0" * 64, False),
        ("a.jpg", len(DATA) + 1, KEY, False),
        ("b.jpg", len(DATA), KEY, None),
    ):
        file = target.file(name)
        assert file.matches(size, Hasher(), key) is held
        file.close()


def test_restore_folder_pipe_does_not_block(target):
    os.mkfifo(os.path.join(target.root, "a.jpg"))
    file = target.file("a.jpg")
    assert file.matches(0, Hasher(), KEY) is False
    file.close()


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/", "../a", "a/../b", ".", "a/.", "a\0b"])
def test_restore_folder_escaping_names_are_refused(target, name):
    with pytest.raises(UnsafeNameError):
        target.file(name)


def test_restore_folder_leaves_no_directory_open(target):
    before = len(os.listdir("/proc/self/fd"))
    put(target, "a/b/c/d.jpg")
    os.symlink("/tmp", os.path.join(target.root, "a", "link"))
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        target.file("a/link/x.jpg")
    assert len(os.listdir("/proc/self/fd")) == before


def test_restore_folder_compares_sha256_if_known(target):
    class Weak(Hasher):
        def content(self):
            return Content(key="md5:x", size=0, sha256=super().content().key)

    file = target.file("a.jpg")
    with file.partial_file() as part:
        assert part.write(DATA)
        assert part.matches(len(DATA), Weak(), "md5:x", KEY)
        assert part.matches(len(DATA), Weak(), "md5:x")
        assert not part.matches(len(DATA), Weak(), "md5:x", "0" * 64)
    file.close()
