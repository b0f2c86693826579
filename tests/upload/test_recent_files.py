"""Small files that several remotes need are read once for each state."""

import asyncio
import os

import pytest

from syncd.core.errors import FileChanged
from syncd.core.model import Content, Fingerprint
from syncd.remotes.image.encodings import TextHasher
from syncd.remotes.multipart.options import MultipartHasher
from syncd.upload import source as source_module
from syncd.upload.recent_files import ReadFile, RecentFiles
from syncd.upload.source import FileOpener, fingerprint_of

DATA = bytes(range(256)) * 100


def state(number):
    return "/folder", f"{number}.jpg", Fingerprint(inode=number, size=10, mtime_ns=1)


def read_file(data=b"0123456789"):
    return ReadFile(data=data, kind="a", content=Content(key="k", size=len(data)))


@pytest.fixture
def reads(monkeypatch):
    """Return the list of the offsets that are read from files."""
    found, read_at = [], source_module.read_at

    def recording(descriptor, length, offset):
        found.append(offset)
        return read_at(descriptor, length, offset)

    monkeypatch.setattr(source_module, "read_at", recording)
    return found


async def open_file(opener, path, hasher, *, other_remotes=1, expected=None):
    source = await opener.open(
        str(path.parent),
        path.name,
        expected or fingerprint_of(path.stat()),
        block_size=1024,
        hasher=hasher,
        other_remotes=other_remotes,
    )
    source.close()
    return await source.hash(hasher), await source.read(0, source.size)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "a.jpg"
    found.write_bytes(DATA)
    return found


async def test_open_for_two_remotes_reads_and_hashes_once(path, reads):
    opener = FileOpener()
    results = await asyncio.gather(*(open_file(opener, path, MultipartHasher("sha256")) for _ in range(2)))
    assert len(reads) == 1
    assert results[0] == results[1]
    assert results[0][0] is results[1][0]
    assert results[0][1] == DATA


async def test_open_for_remotes_of_two_kinds_reads_once(path, reads):
    opener = FileOpener()
    hashers = MultipartHasher("md5"), TextHasher("base64")
    found = [await open_file(opener, path, hasher) for hasher in hashers]
    expected = MultipartHasher("md5"), TextHasher("base64")
    for hasher in expected:
        hasher.update(DATA)
    assert [content for content, _ in found] == [hasher.content() for hasher in expected]
    assert len(reads) == 1


async def test_open_for_one_remote_keeps_nothing(path, reads):
    opener = FileOpener()
    for _ in range(2):
        await open_file(opener, path, MultipartHasher("sha256"), other_remotes=0)
    assert len(reads) == 2


async def test_open_changed_file_is_read_again(path, reads):
    opener = FileOpener()
    before = fingerprint_of(path.stat())
    await open_file(opener, path, MultipartHasher("sha256"))
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(1, 1))
    with pytest.raises(FileChanged):
        await open_file(opener, path, MultipartHasher("sha256"), expected=before)
    content, data = await open_file(opener, path, MultipartHasher("sha256"))
    assert data == DATA[::-1]
    assert content.size == len(DATA)
    assert len(reads) == 2


def test_recent_files_kept_until_last_use():
    recent = RecentFiles()
    recent.keep(state(1), read_file(), uses=2)
    assert recent.take(state(1)) == recent.take(state(1)) == read_file()
    assert recent.take(state(1)) is None


def test_recent_files_oldest_are_dropped():
    recent = RecentFiles(max_bytes=30)
    for number in range(4):
        recent.keep(state(number), read_file(), uses=1)
    recent.keep(state(3), read_file(), uses=1)  # replaces itself
    assert [recent.take(state(number)) is not None for number in range(4)] == [False, True, True, True]
    recent.keep(state(5), read_file(b"x" * 31), uses=1)
    assert recent.take(state(5)) is None
