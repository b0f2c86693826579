"""Reads the file to upload: opens it safely, hashes it once, and checks each read.

The bytes that are sent are the bytes that were hashed. Hashing records a checksum of each block, and a block that is
read for sending must have the same checksum. The fingerprint is compared before and after. A small file is read once,
several files in one hop to a thread, and sent from memory.
"""

import asyncio
import errno
import mimetypes
import os
import threading
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from syncd.asyncio_tools import Batcher
from syncd.core.errors import FileChanged, FileGone, FileInUse, FileLocked, FileUnreadable, NotUploadable
from syncd.core.model import Content, Fingerprint
from syncd.core.states import IN_USE
from syncd.platform.file_info import read_at
from syncd.platform.openat import open_inside
from syncd.platform.read_lease import Writer, writer
from syncd.remotes.base import Hasher
from syncd.upload.recent_files import ReadFile, RecentFiles

IN_MEMORY_MAX_BYTES = 1024 * 1024
"""Files up to this size are sent from memory."""
READ_BYTES = 1024 * 1024
FILES_PER_HOP = 16
READING_THREADS = 2
"""Threads that open and read files; hashing keeps a processor busy, so more would not help."""
MIN_BLOCK_BYTES = 32 * 1024
"""Each checksum covers at least this many bytes, however small the chunks are."""

mimetypes.add_type("image/avif", ".avif")
mimetypes.add_type("image/heic", ".heic")
mimetypes.add_type("image/heif", ".heif")
mimetypes.add_type("image/jxl", ".jxl")
mimetypes.add_type("image/webp", ".webp")


class FileSource:
    """One version of one file. Create with :meth:`open`; the caller closes it."""

    def __init__(self, descriptor: int, path: str, fingerprint: Fingerprint, block_size: int) -> None:
        self._descriptor = descriptor
        self._fingerprint = fingerprint
        self._block = block_size * -(-MIN_BLOCK_BYTES // block_size)
        self._sums = array("I")
        self._memory: bytes | None = None
        self._content: Content | None = None
        self._cancelled = threading.Event()
        self.name = valid_unicode(os.path.basename(path))
        self.media_type = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        self.size = fingerprint.size

    @classmethod
    async def open(
        cls, folder: str, path: str, expected: Fingerprint, *, block_size: int, follow_symlinks: bool = False
    ) -> "FileSource":
        """Open ``path`` below ``folder`` if it is still in the ``expected`` state.

        ``FileInUse`` if another program has it open for writing; ``FileChanged`` if it is in another state;
        ``FileGone``, ``FileLocked``, ``FileUnreadable`` or ``NotUploadable`` if it cannot be opened.
        """
        opener = FileOpener()
        return await opener.open(folder, path, expected, block_size=block_size, follow_symlinks=follow_symlinks)

    @classmethod
    def open_blocking(cls, opening: "_Opening", recent: RecentFiles) -> "FileSource":
        """Open a file as :meth:`open` does. Blocks."""
        descriptor = open_regular(opening.folder, opening.path, follow_symlinks=opening.follow_symlinks)
        try:
            _check_unchanged(descriptor, opening.expected)
            source = cls(descriptor, opening.path, opening.expected, opening.block_size)
            if opening.hasher is not None and source.size <= IN_MEMORY_MAX_BYTES:
                source._load(opening, opening.hasher, recent)
                source.close()
        except BaseException:
            os.close(descriptor)
            raise
        return source

    def _load(self, opening: "_Opening", hasher: Hasher, recent: RecentFiles) -> None:
        """Read the complete file through ``hasher``, unless it was just read for another remote."""
        if not opening.other_remotes:
            self._content = self._hash(hasher)
            return
        state = opening.folder, opening.path, opening.expected
        with recent.reading(state):
            if (file := recent.take(state)) is None:
                self._content = self._hash(hasher)
                if self._memory is not None:
                    file = ReadFile(data=self._memory, kind=hasher.kind, content=self._content)
                    recent.keep(state, file, uses=opening.other_remotes)
                return
        self._memory = file.data
        if file.kind != hasher.kind:
            hasher.update(file.data)
        self._content = file.content if file.kind == hasher.kind else hasher.content()

    @property
    def in_memory(self) -> bool:
        """Return whether the file has been read completely."""
        return self._memory is not None

    async def hash(self, hasher: Hasher) -> Content:
        """Read the complete file through ``hasher``; ``FileChanged`` if it changes in between."""
        if self._content is not None:
            return self._content
        try:
            return await asyncio.to_thread(self._hash, hasher)
        except asyncio.CancelledError:
            self._cancelled.set()  # the thread is still reading: it stops at its next block
            raise

    def _hash(self, hasher: Hasher) -> Content:
        keep: list[bytes] | None = [] if self.size <= IN_MEMORY_MAX_BYTES else None
        with _reading():
            for block in self._blocks():
                hasher.update(block)
                if keep is None:
                    self._sums.append(zlib.crc32(block))
                else:
                    keep.append(block)
            self._check_fingerprint()
        if keep is not None:
            self._memory = b"".join(keep)
        return hasher.content()

    def _blocks(self) -> Iterator[bytes]:
        """Yield the file in the blocks that the checksums cover."""
        offset = 0
        step = max(1, READ_BYTES // self._block) * self._block
        while offset < self.size:
            if self._cancelled.is_set():
                raise FileChanged("reading was stopped")
            data = self._read_exactly(offset, min(step, self.size - offset))
            for start in range(0, len(data), self._block):
                yield data[start : start + self._block]
            offset += len(data)

    async def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; ``FileChanged`` if they were hashed otherwise."""
        if self._memory is not None:
            return self._memory[offset : offset + length]
        return await asyncio.to_thread(self._read_checked, offset, length)

    def _read_checked(self, offset: int, length: int) -> bytes:
        first, last = offset // self._block, -(-(offset + length) // self._block)
        start = first * self._block
        with _reading():
            data = self._read_exactly(start, min(last * self._block, self.size) - start)
        for number in range(first, last):
            at = number * self._block - start
            if zlib.crc32(data[at : at + self._block]) != self._sums[number]:
                raise FileChanged("the file changed while it was being uploaded")
        return data[offset - start : offset - start + length]

    def _read_exactly(self, offset: int, length: int) -> bytes:
        data = read_at(self._descriptor, length, offset)  # most often all of it: no copy is made then
        while len(data) < length:
            part = read_at(self._descriptor, length - len(data), offset + len(data))
            if not part:
                raise FileChanged("the file was truncated while it was being read")
            data += part
        return data

    async def verify(self) -> None:
        """Raise ``FileChanged`` if the open file has another fingerprint now.

        What is sent from memory is one state of the file, whatever has happened to the file since then.
        """
        if self._memory is None:
            await asyncio.to_thread(self._check_fingerprint)

    def _check_fingerprint(self) -> None:
        if fingerprint_of(os.fstat(self._descriptor)) != self._fingerprint:
            raise FileChanged("the file changed while it was being read")

    def close(self) -> None:
        """Close the file."""
        self._cancelled.set()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opening:
    """The arguments of :meth:`FileSource.open`."""

    folder: str
    path: str
    expected: Fingerprint
    block_size: int
    follow_symlinks: bool
    hasher: Hasher | None
    other_remotes: int


def _check_unchanged(descriptor: int, expected: Fingerprint) -> None:
    if writer(descriptor) is Writer.OPEN:
        raise FileInUse(IN_USE)
    if fingerprint_of(os.fstat(descriptor)) != expected:  # it may also be another file
        raise FileChanged("the file changed since it was queued")


class FileOpener:
    """Opens files in threads, several small ones in one hop."""

    def __init__(self) -> None:
        self._recent = RecentFiles()
        self._batcher = Batcher(
            self._open_all, max_batch=FILES_PER_HOP, concurrency=READING_THREADS, discard=FileSource.close
        )

    async def open(
        self,
        folder: str,
        path: str,
        expected: Fingerprint,
        *,
        block_size: int,
        follow_symlinks: bool = False,
        hasher: Hasher | None = None,
        other_remotes: int = 0,
    ) -> FileSource:
        """Open a file as :meth:`FileSource.open` does.

        If ``hasher`` is given, a small file is read and hashed too: :meth:`FileSource.hash` returns the result.
        ``other_remotes`` is how often the same file will be opened for other remotes soon.
        """
        return await self._batcher.call(
            _Opening(
                folder=folder,
                path=path,
                expected=expected,
                block_size=block_size,
                follow_symlinks=follow_symlinks,
                hasher=hasher,
                other_remotes=other_remotes,
            )
        )

    def _open_all(self, openings: Sequence[_Opening]) -> list[FileSource | Exception]:
        """Open each file; return its source or the exception. Blocks."""
        results: list[FileSource | Exception] = []
        for opening in openings:
            try:
                results.append(FileSource.open_blocking(opening, self._recent))
            except Exception as error:  # noqa: BLE001 - the caller of this file gets it
                results.append(error)
        return results


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the fingerprint in a ``stat`` result."""
    return Fingerprint(inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)


def open_regular(folder: str, path: str, *, follow_symlinks: bool) -> int:
    """Open a regular file below ``folder`` for reading; return its descriptor. Blocks.

    A symbolic link anywhere below ``folder`` is refused unless ``follow_symlinks`` is set. ``FileGone``,
    ``FileLocked``, ``FileUnreadable`` or ``NotUploadable`` if the file cannot be opened.
    """
    with _reading():
        return open_inside(folder, path, follow_symlinks=follow_symlinks)


@contextmanager
def _reading() -> Iterator[None]:
    """Map errors of the file system to failures."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise FileGone("the file is gone") from None
    except PermissionError:
        raise FileUnreadable(
            "no permission to read the file: make it readable for the user that syncd runs as"
        ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotUploadable("not a regular file") from None
        if error.errno == errno.EBUSY:
            raise FileLocked("another program has locked the file; syncd tries again later") from None
        raise FileUnreadable(f"the file cannot be read: {error.strerror}") from None


def valid_unicode(name: str) -> str:
    """Return ``name`` with the bytes that are not UTF-8 replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
