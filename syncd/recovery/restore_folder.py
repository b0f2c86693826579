"""Writes restored files below one folder.

No recorded path and no existing link can make it write outside that folder. Each step goes down one level from an open
directory and does not follow symbolic links. A file is written under a hidden name next to its final one, and renamed
only when it is complete and the final name is free.
"""

import hashlib
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from syncd.core.filenames import possible_on_windows
from syncd.platform import openat
from syncd.platform.files import WINDOWS_NAMES, to_long_path
from syncd.remotes.base import Hasher

READ_BYTES = 1024 * 1024


class UnsafeNameError(Exception):
    """A recorded path leads out of the target, or is impossible on this system."""


class FolderInUseError(Exception):
    """Another process restores into the same folder."""


class RestoreFolder:
    """The folder ``root``, created and locked against other processes in the context."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._fd = self._lock_fd = -1

    def __enter__(self) -> Self:
        os.makedirs(to_long_path(self.root), exist_ok=True)
        self._fd = openat.open_directory(self.root)
        try:
            self._lock_fd = openat.lock_directory(self._fd)
        except OSError as error:
            os.close(self._fd)
            if not isinstance(error, BlockingIOError):
                raise
            message = f"{self.root}: another syncd restores into this folder; wait for it, or choose another --to"
            raise FolderInUseError(message) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock_fd)
        os.close(self._fd)

    def file(self, path: str) -> "RestoredFile":
        """Return the target of the relative ``path``, and create its directories.

        Raises :class:`UnsafeNameError`, or OSError.
        """
        names = path.split("/")
        if any(name in ("", ".", "..") or "\0" in name for name in names):
            raise UnsafeNameError("its recorded name would lead out of the folder")
        if WINDOWS_NAMES and not all(map(possible_on_windows, names)):
            raise UnsafeNameError("its recorded name is not possible on Windows")
        fd = os.dup(self._fd)
        for name in names[:-1]:
            try:
                below = openat.enter(fd, name, make=True)
            finally:
                os.close(fd)
            fd = below
        return RestoredFile(fd, names[-1])


class RestoredFile:
    """A name in an open directory, free or taken. All methods block."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._part_name = f".syncd-{hashlib.sha256(os.fsencode(name)).hexdigest()[:24]}.part"

    def close(self) -> None:
        """Close the directory."""
        os.close(self._fd)

    def matches(self, size: int, hasher: Hasher, key: str, sha256: str | None = None) -> bool | None:
        """Return whether the existing file has this content; None if the name is free."""
        try:
            fd = openat.open_file(self._fd, self._name)
        except FileNotFoundError:
            return None
        except OSError:  # a symbolic link, a socket, an unreadable file: must not be overwritten
            return False
        try:
            return _matches(fd, size, hasher, key, sha256)
        finally:
            os.close(fd)

    @contextmanager
    def partial_file(self) -> Generator["PartialFile"]:
        """Create the hidden file, and remove it after the context.

        Replaces one that an interrupted restore left.
        """
        self.remove_partial()
        fd = openat.create(self._fd, self._part_name)
        try:
            yield PartialFile(fd)
        finally:
            os.close(fd)
            self.remove_partial()

    def remove_partial(self) -> None:
        """Remove the hidden file, if there is one."""
        with suppress(FileNotFoundError):
            openat.remove(self._fd, self._part_name)

    def finish(self, part: "PartialFile", mtime_ns: int) -> None:
        """Set the modification time and final name; FileExistsError if the name is taken."""
        with suppress(OverflowError):  # no file system of this machine can hold that time
            openat.set_times(part.fd, mtime_ns)
        os.fsync(part.fd)
        openat.rename(self._fd, self._part_name, self._name)


class PartialFile:
    """A file that is being written. ``error`` is the first write error, if any."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.error: OSError | None = None

    def restart(self) -> None:
        """Remove all data, for another attempt."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def write(self, data: bytes) -> bool:
        """Append ``data``; return False after an error.

        Writes a few KiB to the page cache, so it may run in the event loop.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            self.error = error
        return self.error is None

    def matches(self, size: int, hasher: Hasher, key: str, sha256: str | None = None) -> bool:
        """Return whether the written data has this size, key and SHA-256. Blocks."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return _matches(self.fd, size, hasher, key, sha256)


def _matches(fd: int, size: int, hasher: Hasher, key: str, sha256: str | None) -> bool:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        return False
    for data in _read_chunks(fd):
        hasher.update(data)
    content = hasher.content()
    return content.key == key and sha256 in (None, content.sha256)


def _read_chunks(fd: int) -> Iterator[bytes]:
    while data := os.read(fd, READ_BYTES):
        yield data
