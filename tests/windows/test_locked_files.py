"""Files that other programs have open are neither deleted, moved nor copied."""

import hashlib
import os
import sys
import threading
from contextlib import contextmanager

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import pywintypes
import win32con
import win32file

from syncd.core.errors import FileLocked
from syncd.platform import openat, removable_file, removal
from syncd.platform.removal import ArchiveDirectory, RemovalProof
from syncd.platform.windows import openat as windows_openat
from syncd.upload.source import FileSource, fingerprint_of
from tests.support.wait import wait_until_sync


@contextmanager
def opened(path, share=win32con.FILE_SHARE_READ):
    """Open a file as most programs do: others can read it but not delete it."""
    handle = win32file.CreateFile(str(path), win32con.GENERIC_READ, share, None, win32con.OPEN_EXISTING, 0, None)
    try:
        yield
    finally:
        handle.Close()


class AnyBytes:
    """Accepts any content as the uploaded one."""

    def update(self, data):
        pass

    def matches(self):
        return True


def remove(path, move=None):
    archive = None
    if move:
        archive = ArchiveDirectory(str(move))
        archive.create()
    proven = RemovalProof(fingerprint=fingerprint_of(os.lstat(path)), digests=[AnyBytes()], quiet=False)
    hidden = removal.hidden_name()
    removal.remove(str(path.parent), path.name, proven, hidden, archive=archive, stop=threading.Event())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "inbox" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"content")
    return path


async def test_file_locked_during_hash_is_retried(file, monkeypatch):
    """Simulate the lock, because wine lets others read a locked part."""

    def refuse(*_):
        raise pywintypes.error(33, "ReadFile", "The process cannot access the file")

    source = await FileSource.open(str(file.parent), "a.jpg", fingerprint_of(os.lstat(file)), block_size=1024)
    try:
        monkeypatch.setattr(win32file, "ReadFile", refuse)
        with pytest.raises(FileLocked, match="another program has locked the file; syncd tries again later"):
            await source.hash(hashlib.sha256())
    finally:
        source.close()


@pytest.mark.parametrize("to", [None, "sent"])
def test_remove_open_file_is_refused_until_closed(file, tmp_path, monkeypatch, to):
    move = to and tmp_path / to
    with opened(file), monkeypatch.context() as patch:
        patch.setattr(removable_file.RemovableFile, "_copy", lambda *_: pytest.fail("a copy would be in vain"))
        for _ in range(2):
            with pytest.raises(OSError, match="another program uses it exclusively"):
                remove(file, move)
    assert file.read_bytes() == b"content"
    assert not to or os.listdir(move) == []
    remove(file, move)
    assert os.listdir(file.parent) == []
    assert not to or (move / "a.jpg").read_bytes() == b"content"


def test_remove_file_open_for_writing_is_refused(file):
    with file.open("r+b"), pytest.raises(removal.NotRemovedError, match="open for writing"):
        remove(file)
    assert file.read_bytes() == b"content"
    remove(file)
    assert os.listdir(file.parent) == []


@pytest.fixture
def other_disk(monkeypatch):
    """Make renames into another folder fail as for another disk; wine may have only one."""
    real = windows_openat.rename

    def rename(directory, name, wanted, *, into=None):
        if into is not None and not os.path.sameopenfile(directory, into):
            raise OSError(None, "not the same disk", name, 17)
        real(directory, name, wanted)

    monkeypatch.setattr(openat, "rename", rename)


@pytest.mark.usefixtures("other_disk")
def test_move_open_file_to_another_disk_leaves_no_copy(file, tmp_path):
    with opened(file), pytest.raises(OSError, match="another program uses it exclusively"):
        remove(file, tmp_path / "sent")
    assert os.listdir(tmp_path / "sent") == []
    remove(file, tmp_path / "sent")
    assert (tmp_path / "sent" / "a.jpg").read_bytes() == b"content"
    assert os.listdir(tmp_path / "sent") == ["a.jpg"]
    assert os.listdir(file.parent) == []


def test_remove_read_only_file_is_refused(file, tmp_path):
    file.chmod(0o444)
    for move in (None, tmp_path / "sent"):
        with pytest.raises(PermissionError, match="the file is read-only"):
            remove(file, move)
    file.chmod(0o666)
    remove(file, tmp_path / "sent")
    assert (tmp_path / "sent" / "a.jpg").read_bytes() == b"content"


def test_move_to_name_taken_in_other_case_adds_number(file, tmp_path):
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "A.JPG").write_bytes(b"first")
    remove(file, tmp_path / "sent")
    assert {path.name: path.read_bytes() for path in (tmp_path / "sent").iterdir()} == {
        "A.JPG": b"first",
        "a-1.jpg": b"content",
    }


def test_daemon_logs_file_kept(harness):
    harness.folder["after_upload"] = "delete"
    path = harness.put("a.jpg", b"content")
    with opened(path):
        harness.start()
        wait_until_sync(lambda: "file.kept" in (harness.base / "log").read_text(), "it says so")
        assert path.exists()
        assert harness.states() == {"a.jpg": "done"}
    path.with_name("b.jpg").write_bytes(b"more")
    wait_until_sync(lambda: not path.with_name("b.jpg").exists(), "another one is deleted")
    assert path.exists()  # it is retried a minute later
    log = (harness.base / "log").read_text()
    assert log.count("file.kept") == 1, log
