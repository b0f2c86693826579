"""Writing below a folder: names that are free, and file systems that lack something."""

import hashlib
import os

import pytest

from syncd.core.model import Content
from syncd.recovery.target import RestoreTarget, UnsafeNameError

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
def tree(tmp_path):
    with RestoreTarget(str(tmp_path / "root")) as tree:
        yield tree


def put(tree, name="sub/a.jpg", data=DATA):
    spot = tree.spot(name)
    try:
        with spot.part() as part:
            assert part.write(data)
            spot.put(part, 10**18 + 1)
    finally:
        spot.close()


def listing(tree):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(tree.root) for name in names)


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none"])
def test_a_name_that_is_taken_stays_as_it_is(tree, monkeypatch, links):
    if not links:

        def link(*_, **__):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    put(tree)
    (path,) = listing(tree)
    assert path == f"{tree.root}/sub/a.jpg"
    assert os.stat(path).st_mtime_ns == 10**18 + 1
    with pytest.raises(FileExistsError):
        put(tree, data=b"other")
    assert listing(tree) == [path]
    with open(path, "rb") as file:
        assert file.read() == DATA


def test_a_part_that_is_not_put_is_gone(tree):
    spot = tree.spot("a.jpg")
    with spot.part() as part:
        part.write(DATA)
        assert part.holds(len(DATA), Hasher(), KEY)
        assert not part.holds(len(DATA), Hasher(), "0" * 64)
        part.restart()
        assert not part.holds(len(DATA), Hasher(), KEY)
        (hidden,) = listing(tree)
        assert os.path.basename(hidden).startswith(".")
    assert listing(tree) == []
    spot.close()


def test_what_an_interruption_left_is_swept(tree):
    """Killed between taking the name and letting go of the hidden one, the file has both."""
    put(tree, "a.jpg")
    spot = tree.spot("a.jpg")
    with spot.part():
        (hidden,) = set(listing(tree)) - {f"{tree.root}/a.jpg"}
    os.link(f"{tree.root}/a.jpg", hidden)
    spot.sweep()
    spot.sweep()
    spot.close()
    assert listing(tree) == [f"{tree.root}/a.jpg"]


def test_what_lies_at_the_hidden_name_is_not_written_to(tree, tmp_path):
    spot = tree.spot("a.jpg")
    with spot.part():
        (hidden,) = listing(tree)
    (tmp_path / "precious").write_bytes(b"precious")
    os.symlink(tmp_path / "precious", hidden)
    with spot.part() as part:
        part.write(DATA)
        spot.put(part, 0)
    spot.close()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert listing(tree) == [f"{tree.root}/a.jpg"]


def test_what_is_there_is_compared(tree):
    put(tree, "a.jpg")
    for name, size, key, held in (
        ("a.jpg", len(DATA), KEY, True),
        ("a.jpg", len(DATA), "0" * 64, False),
        ("a.jpg", len(DATA) + 1, KEY, False),
        ("b.jpg", len(DATA), KEY, None),
    ):
        spot = tree.spot(name)
        assert spot.holds(size, Hasher(), key) is held
        spot.close()


def test_a_pipe_is_not_waited_for(tree):
    os.mkfifo(os.path.join(tree.root, "a.jpg"))
    spot = tree.spot("a.jpg")
    assert spot.holds(0, Hasher(), KEY) is False
    spot.close()


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/", "../a", "a/../b", ".", "a/.", "a\0b"])
def test_names_that_lead_elsewhere(tree, name):
    with pytest.raises(UnsafeNameError):
        tree.spot(name)


def test_no_directory_stays_open(tree):
    before = len(os.listdir("/proc/self/fd"))
    put(tree, "a/b/c/d.jpg")
    os.symlink("/tmp", os.path.join(tree.root, "a", "link"))
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        tree.spot("a/link/x.jpg")
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_same_key_is_not_enough_where_the_sha256_is_known(tree):
    class Weak(Hasher):
        def content(self):
            return Content(key="md5:x", size=0, sha256=super().content().key)

    spot = tree.spot("a.jpg")
    with spot.part() as part:
        assert part.write(DATA)
        assert part.holds(len(DATA), Weak(), "md5:x", KEY)
        assert part.holds(len(DATA), Weak(), "md5:x")
        assert not part.holds(len(DATA), Weak(), "md5:x", "0" * 64)
    spot.close()
