"""Tests of the file source on a real file system: safe opening, reads of hashed bytes."""

import asyncio
import contextlib
import hashlib
import os
import socket
import stat
import sys
import threading

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncd.core.errors import Failure, FileChanged, FileGone, FileInUse, FileUnreadable, NotUploadable
from syncd.core.model import Content
from syncd.upload import source as module
from syncd.upload.source import IN_MEMORY_MAX_BYTES, FileOpener, FileSource, fingerprint_of
from tests.names import ONLY_UNIX
from tests.support.data import random_bytes
from tests.support.wait import wait_until

KIB = 1024
BLOCK = 32 * KIB
TICK = 100
"""Nanoseconds that NTFS counts in; other file systems in fewer."""
LARGE = IN_MEMORY_MAX_BYTES + 5 * BLOCK + 7
"""A file that is read from the disk for each chunk; its last block is short."""


class Hasher:
    """A SHA-256 that calls ``before`` with the bytes seen so far, before each block."""

    def __init__(self, before=lambda seen: None):
        self._hash = hashlib.sha256()
        self._before = before
        self.seen = 0

    def update(self, data):
        self._before(self.seen)
        self._hash.update(data)
        self.seen += len(data)

    def content(self):
        return Content(key=self._hash.hexdigest(), size=self.seen)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def descriptors():
    return set(os.listdir("/proc/self/fd")) if sys.platform != "win32" else set()


@pytest.fixture(autouse=True)
def no_descriptor_leaks(tmp_path):
    yield
    assert [target for target in targets(descriptors()) if target.startswith(str(tmp_path))] == []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@contextlib.asynccontextmanager
async def opened(folder, name, *, expected=None, block_size=BLOCK, follow_symlinks=False):
    path = os.path.join(os.fspath(folder), name)
    source = await FileSource.open(
        os.fspath(folder),
        name,
        expected or fingerprint_of(os.stat(path, follow_symlinks=follow_symlinks)),
        block_size=block_size,
        follow_symlinks=follow_symlinks,
    )
    try:
        yield source
    finally:
        source.close()


async def failure_of(opening):
    """Return the failure to open; fail if opening hangs."""
    with pytest.raises(Failure) as caught:
        await asyncio.wait_for(opening.__aenter__(), 5)
    return caught.value


# Opening.


@pytest.mark.parametrize("name", ["a.jpg", "sub/deep er/ë.jpg", *ONLY_UNIX])
async def test_source_hashes_and_reads_file(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"content")
    async with opened(folder, name) as source:
        assert (await source.hash(Hasher())).key == digest(b"content")
        assert source.size == 7
        assert await source.read(2, 3) == b"nte"
        await source.verify()


def make_device(kind, *number):
    def make(path):
        try:
            os.mknod(path, kind | 0o600, os.makedev(*number))
        except PermissionError:
            pytest.skip("only root can make a device")

    return make


def make_fifo(path):
    os.mkfifo(path)


KINDS = {
    "fifo": make_fifo,
    "character device": make_device(stat.S_IFCHR, 1, 5),
    "block device": make_device(stat.S_IFBLK, 7, 250),
}


@pytest.mark.unix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("follow_symlinks", [False, True])
async def test_open_never_opens_fifo_or_device(folder, monkeypatch, kind, follow_symlinks):
    """Opening a FIFO waits for a writer, or wakes one; opening a device can rewind a tape."""
    KINDS[kind](folder / "a.jpg")
    touched = []
    real = os.open

    def recording(path, *rest, **options):
        touched.append(path)
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", recording)
    failure = await failure_of(opened(folder, "a.jpg", follow_symlinks=follow_symlinks))
    assert isinstance(failure, NotUploadable)
    assert not [path for path in touched if path.endswith("a.jpg")]


@pytest.mark.unix
async def test_open_file_replaced_by_fifo_does_not_hang(folder, monkeypatch):
    """The replacement happens between the check and the open."""
    (folder / "a.jpg").write_bytes(b"content")
    expected = fingerprint_of((folder / "a.jpg").stat())
    real = os.open

    def late(path, flags, *rest, **options):
        if path == "a.jpg":
            os.unlink(folder / "a.jpg")
            os.mkfifo(folder / "a.jpg")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", late)
    failure = await failure_of(opened(folder, "a.jpg", expected=expected))
    assert isinstance(failure, FileChanged)


@pytest.mark.unix
async def test_open_file_replaced_by_symlink_is_not_followed(folder, tmp_path, monkeypatch):
    (folder / "a.jpg").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret!")
    expected = fingerprint_of((folder / "a.jpg").stat())
    real = os.open
    flags_seen = []

    def late(path, flags, *rest, **options):
        if path == "a.jpg":
            flags_seen.append(flags)
            os.unlink(folder / "a.jpg")
            os.symlink(tmp_path / "secret", folder / "a.jpg")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", late)
    failure = await failure_of(opened(folder, "a.jpg", expected=expected))
    assert isinstance(failure, NotUploadable)
    assert flags_seen[0] & os.O_NOFOLLOW


@pytest.mark.unix
async def test_open_socket_or_directory_is_not_uploadable(folder):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(folder / "s.jpg"))
        assert isinstance(await failure_of(opened(folder, "s.jpg")), NotUploadable)
    (folder / "d.jpg").mkdir()
    assert isinstance(await failure_of(opened(folder, "d.jpg")), NotUploadable)


@pytest.mark.unix
async def test_open_follows_symlink_only_if_asked(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"elsewhere")
    (folder / "link.jpg").symlink_to(tmp_path / "elsewhere")
    expected = fingerprint_of((tmp_path / "elsewhere").stat())
    failure = await failure_of(opened(folder, "link.jpg", expected=expected))
    assert isinstance(failure, NotUploadable)
    async with opened(folder, "link.jpg", follow_symlinks=True) as source:
        await source.hash(Hasher())
        assert await source.read(0, 9) == b"elsewhere"
    (folder / "loop.jpg").symlink_to("loop.jpg")
    assert isinstance(
        await failure_of(opened(folder, "loop.jpg", expected=expected, follow_symlinks=True)), NotUploadable
    )


@pytest.mark.unix
async def test_open_parent_replaced_by_symlink_is_not_followed(folder, tmp_path):
    (folder / "sub").mkdir()
    (folder / "sub" / "a.jpg").write_bytes(b"inside")
    expected = fingerprint_of((folder / "sub" / "a.jpg").stat())
    os.rename(folder / "sub", tmp_path / "moved out")  # the same file, by another path
    (folder / "sub").symlink_to(tmp_path / "moved out")
    assert isinstance(await failure_of(opened(folder, "sub/a.jpg", expected=expected)), FileGone | NotUploadable)
    async with opened(folder, "sub/a.jpg", expected=expected, follow_symlinks=True) as source:
        assert source.size == 6


@pytest.mark.unix
async def test_open_folder_may_be_a_symlink(folder, tmp_path):
    """The user chose the folder; other users may write below it."""
    (folder / "a.jpg").write_bytes(b"content")
    (tmp_path / "link").symlink_to(folder)
    async with opened(tmp_path / "link", "a.jpg") as source:
        assert source.size == 7


@pytest.mark.parametrize("change", ["gone", "parent gone", "parent is a file"])
async def test_open_missing_file_is_gone(folder, change):
    (folder / "sub").mkdir()
    path = folder / "sub" / "a.jpg"
    path.write_bytes(b"content")
    expected = fingerprint_of(path.stat())
    path.unlink()
    if change != "gone":
        (folder / "sub").rmdir()
    if change == "parent is a file":
        (folder / "sub").write_bytes(b"")
    assert isinstance(await failure_of(opened(folder, "sub/a.jpg", expected=expected)), FileGone)


@pytest.mark.unix
async def test_open_refused_by_system_reports_reason(folder, monkeypatch):
    (folder / "a.jpg").write_bytes(b"content")

    def refuse(error):
        def stat_(path, **options):
            raise error

        monkeypatch.setattr(os, "stat", stat_)

    expected = fingerprint_of((folder / "a.jpg").stat())
    refuse(PermissionError(13, "Permission denied"))
    failure = await failure_of(opened(folder, "a.jpg", expected=expected))
    assert isinstance(failure, FileUnreadable)
    assert "make it readable" in str(failure)
    refuse(OSError(5, "Input/output error"))
    failure = await failure_of(opened(folder, "a.jpg", expected=expected))
    assert isinstance(failure, FileUnreadable)
    assert str(failure) == "the file cannot be read: Input/output error"


def replaced(path):
    path.with_suffix(".new").write_bytes(path.read_bytes())
    os.utime(path.with_suffix(".new"), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.with_suffix(".new").replace(path)


def appended(path):
    with path.open("ab") as file:
        file.write(b"more")


def truncated(path):
    os.truncate(path, path.stat().st_size - 1)


def overwritten(path):
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + TICK))


def touched(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + TICK))


@pytest.mark.parametrize("change", [replaced, appended, truncated, overwritten, touched])
async def test_open_changed_file_raises_file_changed(folder, change):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    expected = fingerprint_of(path.stat())
    change(path)
    assert isinstance(await failure_of(opened(folder, "a.jpg", expected=expected)), FileChanged)


# Reading.


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("change", [appended, truncated, overwritten, touched])
async def test_hash_change_during_hash_raises_file_changed(folder, size, change):
    path = folder / "a.jpg"
    path.write_bytes(random_bytes(size))
    async with opened(folder, "a.jpg") as source:
        changes = iter([change])
        hasher = Hasher(before=lambda seen: next(changes, lambda _: None)(path))
        with pytest.raises(FileChanged):
            await source.hash(hasher)


@pytest.mark.parametrize("change", [appended, truncated, overwritten, touched])
async def test_verify_change_after_hash_raises_file_changed(folder, change):
    path = folder / "a.jpg"
    path.write_bytes(random_bytes(LARGE))
    async with opened(folder, "a.jpg") as source:
        await source.hash(Hasher())
        change(path)
        with pytest.raises(FileChanged):
            await source.verify()


@pytest.mark.unix
async def test_read_file_replaced_by_rename_returns_old_bytes(folder):
    """The open file is the old one and complete; the new file gets another upload."""
    path, data = folder / "a.jpg", random_bytes(LARGE)
    path.write_bytes(data)
    async with opened(folder, "a.jpg") as source:
        await source.hash(Hasher())
        (folder / "new").write_bytes(random_bytes(LARGE, 2))
        os.replace(folder / "new", path)
        assert await source.read(0, source.size) == data
        await source.verify()


async def test_read_small_file_comes_from_memory(folder):
    path, data = folder / "a.jpg", random_bytes(IN_MEMORY_MAX_BYTES)
    path.write_bytes(data)
    async with opened(folder, "a.jpg") as source:
        await source.hash(Hasher())
        path.write_bytes(b"")
        assert await source.read(5, 10) == data[5:15]
        await source.verify()  # what is sent from memory is a state that the file had


async def test_open_with_hasher_hashes_small_file_only(folder):
    path, data = folder / "a.jpg", random_bytes(IN_MEMORY_MAX_BYTES)
    opener = FileOpener()
    for extra in (b"", b"x"):
        path.write_bytes(data + extra)
        hasher = Hasher()
        source = await opener.open(str(folder), "a.jpg", fingerprint_of(path.stat()), block_size=BLOCK, hasher=hasher)
        try:
            assert hasher.seen == (0 if extra else len(data))
            assert source.in_memory is not bool(extra)
            assert (await source.hash(hasher)).key == digest(data + extra)
            assert hasher.seen == len(data + extra)
        finally:
            source.close()


async def test_open_many_at_once_gives_each_its_own_result(folder):
    opener = FileOpener()
    for number in range(20):
        (folder / f"{number}.jpg").write_bytes(b"%d" % number)
    expected = {number: fingerprint_of((folder / f"{number}.jpg").stat()) for number in range(20)}
    (folder / "7.jpg").unlink()
    (folder / "8.jpg").write_bytes(b"changed")

    async def opened_one(number):
        hasher = Hasher()
        source = await opener.open(str(folder), f"{number}.jpg", expected[number], block_size=BLOCK, hasher=hasher)
        source.close()
        return hasher.content().key

    results = await asyncio.gather(*map(opened_one, range(20)), return_exceptions=True)
    assert isinstance(results[7], FileGone)
    assert isinstance(results[8], FileChanged)
    assert all(results[number] == digest(b"%d" % number) for number in range(20) if number not in (7, 8))


async def test_read_overwrite_with_same_mtime_raises_file_changed(folder):
    path, data = folder / "a.jpg", random_bytes(LARGE)
    path.write_bytes(data)
    async with opened(folder, "a.jpg") as source:
        await source.hash(Hasher())
        before = path.stat()
        with path.open("r+b") as file:
            file.seek(3 * BLOCK + 5)
            file.write(b"X" if data[3 * BLOCK + 5 : 3 * BLOCK + 6] != b"X" else b"Y")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        await source.verify()  # the fingerprint is equal
        with pytest.raises(FileChanged):
            await source.read(3 * BLOCK, BLOCK)
        with pytest.raises(FileChanged):
            await source.read(0, LARGE)
        assert await source.read(0, 3 * BLOCK) == data[: 3 * BLOCK]


@pytest.mark.parametrize("block_size", [1, 100, 36 * KIB, 5 * 1024 * KIB])
@pytest.mark.parametrize("size", [1, LARGE])
async def test_read_every_block_size_returns_all_bytes(folder, block_size, size):
    data = random_bytes(size)
    (folder / "a.jpg").write_bytes(data)
    async with opened(folder, "a.jpg", block_size=block_size) as source:
        assert (await source.hash(Hasher())).key == digest(data)
        step = max(block_size, 300_000)
        parts = [await source.read(at, min(step, size - at)) for at in range(0, size, step)]
        assert b"".join(parts) == data


class Step:
    """A change of a file between two reads."""

    def __init__(self, name, data, at, size):
        self.__dict__.update(name=name, data=data, at=at, size=size)

    def __repr__(self):
        return f"{self.name}(at={self.at}, size={self.size}, data={self.data!r})"

    def apply(self, path):
        if self.name == "write":
            with open(path, "r+b") as file:
                file.seek(self.at)
                file.write(self.data)
        elif self.name == "truncate":
            os.truncate(path, self.at)
        elif self.name == "grow":
            os.truncate(path, os.path.getsize(path) + self.size)


FILE_SIZE = 40_000
steps = st.builds(
    Step,
    st.sampled_from(["read", "read", "write", "truncate", "grow"]),
    st.binary(min_size=1, max_size=50),
    st.integers(0, FILE_SIZE - 51),
    st.integers(1, FILE_SIZE),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 99), block_size=st.integers(1, FILE_SIZE + 10), script=st.lists(steps, max_size=12))
def test_read_returns_hashed_bytes_or_raises_file_changed(tmp_path, seed, block_size, script):
    """Small blocks put their bounds within the reads; the fingerprint is not compared."""
    path, data = tmp_path / "a.jpg", random_bytes(FILE_SIZE, seed)
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_MEMORY_MAX_BYTES", 0)
        patch.setattr(module, "MIN_BLOCK_BYTES", 64)
        patch.setattr(module, "READ_BYTES", 5000)
        source = FileSource(os.open(path, os.O_RDONLY), "a.jpg", fingerprint_of(path.stat()), block_size)
        try:
            source._hash(Hasher())
            for step in script:
                step.apply(path)
                if step.name == "read":
                    size = min(step.size, FILE_SIZE - step.at)
                    try:
                        got = source._read_checked(step.at, size)
                    except FileChanged:
                        assert path.read_bytes() != data
                    else:
                        assert got == data[step.at : step.at + size]
        finally:
            source.close()


# Closing.


async def test_hash_cancelled_stops_its_thread(folder):
    (folder / "a.jpg").write_bytes(random_bytes(LARGE))
    begun, go_on = threading.Event(), threading.Event()

    def slowly(seen):
        begun.set()
        assert go_on.wait(10)

    hasher = Hasher(before=slowly)
    async with opened(folder, "a.jpg", block_size=BLOCK) as source:
        stopped = threading.Event()
        real = source._hash

        def watched(hasher):
            try:
                return real(hasher)
            finally:
                stopped.set()

        source._hash = watched
        hashing = asyncio.create_task(source.hash(hasher))
        await asyncio.to_thread(begun.wait, 10)
        hashing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hashing
        go_on.set()
        assert await asyncio.to_thread(stopped.wait, 10)
    assert hasher.seen <= IN_MEMORY_MAX_BYTES  # no read after the current one


@pytest.mark.unix
async def test_open_cancelled_closes_file(folder, monkeypatch):
    (folder / "a.jpg").write_bytes(b"content")
    expected = fingerprint_of((folder / "a.jpg").stat())
    before = descriptors()
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    real = module.open_regular

    def slowly(*arguments, **options):
        begun.set()
        assert go_on.wait(10)
        try:
            return real(*arguments, **options)
        finally:
            ended.set()

    monkeypatch.setattr(module, "open_regular", slowly)
    opening = asyncio.create_task(
        FileSource.open(os.fspath(folder), "a.jpg", expected, block_size=BLOCK, follow_symlinks=False)
    )
    await asyncio.to_thread(begun.wait, 10)
    opening.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await asyncio.to_thread(ended.wait, 10)
    await wait_until(lambda: not any("a.jpg" in target for target in targets(descriptors() - before)))


def targets(numbers):
    for number in numbers:
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{number}")


@pytest.mark.unix
async def test_open_refused_leaves_no_descriptor(folder):
    """The fixture ``no_descriptor_leaks`` counts."""
    (folder / "sub").mkdir()
    (folder / "sub" / "a.jpg").write_bytes(b"content")
    os.mkfifo(folder / "sub" / "fifo.jpg")
    stale = fingerprint_of(os.stat("/"))
    for _ in range(20):
        await failure_of(opened(folder, "sub/a.jpg", expected=stale))
        await failure_of(opened(folder, "sub/fifo.jpg"))
        await failure_of(opened(folder, "sub/none.jpg", expected=stale))


async def test_close_twice_is_allowed(folder):
    (folder / "a.jpg").write_bytes(b"content")
    async with opened(folder, "a.jpg") as source:
        source.close()


# Name and media type.


@pytest.mark.parametrize(
    ("path", "name", "media_type"),
    [
        ("a.jpg", "a.jpg", "image/jpeg"),
        ("sub/photo.HEIC", "photo.HEIC", "image/heic"),
        ("a.jxl", "a.jxl", "image/jxl"),
        ("گل 🌷.webp", "گل 🌷.webp", "image/webp"),
        pytest.param(
            "not \udcff utf-8 \udce2\udc82.avif", "not \ufffd utf-8 \ufffd.avif", "image/avif", marks=pytest.mark.unix
        ),
        ("no suffix", "no suffix", "application/octet-stream"),
    ],
)
def test_source_name_and_media_type(path, name, media_type):
    source = FileSource(-1, path, fingerprint_of(os.stat("/")), BLOCK)
    assert (source.name, source.media_type) == (name, media_type)
    source.name.encode()


IMPOSSIBLE = "\0/" if sys.platform != "win32" else '<>:"/\\|?*' + "".join(map(chr, range(32)))
"""Characters that no file name of this system can have. Some of them separate a folder or a drive from the name."""
NAMES = st.text(
    st.characters(exclude_characters=IMPOSSIBLE, exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    min_size=1,
    max_size=60,
)
"""Names as the system gives them: bytes that are not UTF-8 are these surrogates, and no others can be in a name."""


@given(NAMES)
@example("\udcff")
def test_source_name_is_valid_unicode(name):
    source = FileSource(-1, name, fingerprint_of(os.stat("/")), BLOCK)
    source.name.encode()
    assert source.name


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not report open writers")
async def test_open_file_open_for_writing_raises_file_in_use(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"content")
    with path.open("r+b"), pytest.raises(FileInUse, match="open for writing by another program"):
        await FileSource.open(str(tmp_path), "a.jpg", fingerprint_of(path.stat()), block_size=BLOCK)
    (await FileSource.open(str(tmp_path), "a.jpg", fingerprint_of(path.stat()), block_size=BLOCK)).close()
