"""Files in an open directory: long paths, exact names, and no links."""

import errno
import os
import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import pywintypes
import win32con
import win32file

from syncd.platform import openat
from syncd.platform.files import join_path
from syncd.platform.windows import file_info
from syncd.platform.windows import openat as windows_openat

SYMLINK, JUNCTION, IN_THE_CLOUD, DEDUPLICATED = 0xA000000C, 0xA0000003, 0x9000601A, 0x80000013


@pytest.fixture
def directory(tmp_path):
    opened = openat.open_directory(str(tmp_path))
    yield opened
    os.close(opened)


def write(directory, name, data=b"content"):
    with open(openat.create(directory, name), "wb") as file:
        file.write(data)


def read(directory, name):
    with open(openat.open_file(directory, name), "rb") as file:
        return file.read()


def test_openat_accepts_long_path(directory, tmp_path):
    at = os.dup(directory)
    for letter in "abcdefgh":
        inner = openat.enter(at, letter * 50, make=True)
        os.close(at)
        at = inner
    write(at, "new.part")
    openat.rename(at, "new.part", "a.jpg")
    assert read(at, "a.jpg") == b"content"
    os.close(at)
    path = "/".join(letter * 50 for letter in "abcdefgh") + "/a.jpg"
    with open(openat.open_inside(str(tmp_path), path, follow_symlinks=False), "rb") as file:
        assert file.read() == b"content"
    assert len(join_path(str(tmp_path), path)) > 400


@pytest.mark.parametrize("name", ["nul", "aux.jpg", "com1.png", "a.jpg.", "a ", "Ж猫🌷.jpg", "b" * 255])
def test_openat_accepts_device_name(directory, tmp_path, name):
    write(directory, name)
    assert os.listdir(tmp_path) == [name]
    assert read(directory, name) == b"content"
    openat.remove(directory, name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["a.jpg:b", "c:a.jpg", "..", "", "a\\b", "a/b", "a?.jpg", "*", 'a"', "a\n", "a<b", "|"]
)
def test_openat_refuses_impossible_name(directory, tmp_path, name):
    write(directory, "a.jpg")
    for make in (openat.create, openat.open_file, openat.remove, openat.enter):
        with pytest.raises(OSError, match="no file on Windows can have this name"):
            make(directory, name)
    with pytest.raises(OSError, match="no file on Windows can have this name"):
        openat.rename(directory, "a.jpg", name)
    with pytest.raises(FileNotFoundError):
        openat.open_inside(str(tmp_path), f"{name}/a.jpg", follow_symlinks=True)
    assert os.listdir(tmp_path) == ["a.jpg"]


def test_rename_to_taken_name_is_refused(directory, tmp_path):
    write(directory, "a.part", b"new")
    write(directory, "A.jpg", b"old")
    with pytest.raises(FileExistsError):
        openat.rename(directory, "a.part", "a.jpg")
    with pytest.raises(FileExistsError):
        openat.create(directory, "a.JPG")
    assert (read(directory, "a.part"), read(directory, "a.jpg")) == (b"new", b"old")
    openat.rename(directory, "a.part", "Free.jpg")
    assert sorted(os.listdir(tmp_path)) == ["A.jpg", "Free.jpg"]
    with pytest.raises(NotADirectoryError):
        openat.enter(directory, "a.jpg", make=True)
    openat.enter(directory, "folder", make=True)
    with pytest.raises(OSError, match="is a folder"):
        openat.open_file(directory, "folder")


@pytest.mark.parametrize("tag", [SYMLINK, JUNCTION])
def test_openat_refuses_link(directory, monkeypatch, tag):
    """wine creates no links, so the file only reports the tag of one."""
    write(directory, "a.jpg")
    os.close(openat.enter(directory, "folder", make=True))
    monkeypatch.setattr(windows_openat, "_tag", lambda _: tag)
    for enter in (openat.enter, lambda *args: openat.enter(*args, make=True)):
        with pytest.raises(OSError, match="is a link") as refused:
            enter(directory, "folder")
        assert refused.value.errno == errno.ELOOP
    with pytest.raises(OSError, match="is a link"):
        openat.open_file(directory, "a.jpg")
    openat.remove(directory, "a.jpg")  # the link itself


@pytest.mark.parametrize("tag", [IN_THE_CLOUD, DEDUPLICATED])
def test_openat_opens_file_with_other_reparse_tag(directory, monkeypatch, tag):
    write(directory, "a.jpg")
    os.close(openat.enter(directory, "folder", make=True))
    monkeypatch.setattr(windows_openat, "_tag", lambda _: tag)
    assert read(directory, "a.jpg") == b"content"
    os.close(openat.enter(directory, "folder"))


def test_openat_refuses_file_replaced_between_opens(directory, monkeypatch):
    write(directory, "a.jpg")

    def tag(_):
        openat.rename(directory, "a.jpg", "b.jpg")
        write(directory, "a.jpg", b"another")
        return IN_THE_CLOUD

    monkeypatch.setattr(windows_openat, "_tag", tag)
    with pytest.raises(OSError, match="replaced by a link"):
        openat.open_file(directory, "a.jpg")


def test_open_file_can_be_renamed_and_removed(directory, tmp_path):
    write(directory, "a.jpg")
    with open(openat.open_file(directory, "a.jpg"), "rb"):
        os.rename(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with open(openat.open_file(directory, "b.jpg"), "rb"):
        os.unlink(tmp_path / "b.jpg")
    assert os.listdir(tmp_path) == []


def test_open_exclusive_file_raises_busy(directory, tmp_path):
    write(directory, "a.jpg")
    handle = win32file.CreateFile(
        str(tmp_path / "a.jpg"), win32con.GENERIC_READ, 0, None, win32con.OPEN_EXISTING, 0, None
    )
    with pytest.raises(OSError, match="another program") as refused:
        openat.open_file(directory, "a.jpg")
    handle.Close()
    assert refused.value.errno == errno.EBUSY


def test_read_of_locked_part_raises_busy(directory, monkeypatch):
    """Simulate the lock, because wine lets others read a locked part."""

    def refuse(*_):
        raise pywintypes.error(33, "ReadFile", "The process cannot access the file")

    write(directory, "a.jpg")
    with open(openat.open_file(directory, "a.jpg"), "rb") as file:
        monkeypatch.setattr(win32file, "ReadFile", refuse)
        with pytest.raises(OSError, match="another program") as refused:
            file_info.read_at(file.fileno(), 4, 0)
        assert refused.value.errno == errno.EBUSY


def test_lock_directory_excludes_second_holder(directory, tmp_path):
    held = openat.lock_directory(directory)
    with pytest.raises(BlockingIOError):
        openat.lock_directory(directory)
    os.close(held)
    os.close(openat.lock_directory(directory))
    assert os.listdir(tmp_path) == []


def test_set_times_is_exact_to_100_ns(directory):
    with open(openat.create(directory, "a.jpg"), "wb") as file:
        openat.set_times(file.fileno(), 1_600_000_000_123_456_700)
        assert os.fstat(file.fileno()).st_mtime_ns == 1_600_000_000_123_456_700
        for time in (-(10**20), 2**80):
            with pytest.raises(OverflowError):
                openat.set_times(file.fileno(), time)
