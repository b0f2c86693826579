"""Writing files below a folder, and nowhere else, whatever their recorded names are and whatever lies there.

Each step goes down one level from an open directory and follows no symbolic link. A file is made under a hidden name
beside its own, and gets that only when it is whole and the name is free.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from syncd.core.filenames import possible_on_windows
from syncd.platform import openat
from syncd.platform.open_flags import extended
from syncd.remotes.base import Hasher

READ = 1024 * 1024
"""Bytes read at a time."""


class UnsafeNameError(Exception):
    """A recorded path would lead elsewhere, or can't be; ``str()`` says which."""


class TargetInUseError(Exception):
    """Another process restores into the same folder."""


class RestoreTarget:
    """The folder ``root``, made if missing, and held against a second process as long as the context lasts."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._fd = self._held = -1

    def __enter__(self) -> Self:
        os.makedirs(extended(self.root), exist_ok=True)
        self._fd = openat.open_directory(self.root)
        try:
            self._held = openat.hold(self._fd)
        except OSError as error:
            os.close(self._fd)
            if not isinstance(error, BlockingIOError):
                raise
            raise TargetInUseError(
                f"{self.root}: another syncd restores into it: wait for that, or give another --to"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._held)
        os.close(self._fd)

    def spot(self, path: str) -> "TargetFile":
        """Return the place of ``path`` below the root; its folders are made. :class:`UnsafeNameError`, or OSError."""
        names = path.split("/")
        if any(name in ("", ".", "..") or "\0" in name for name in names):
            raise UnsafeNameError("its recorded name would lead out of the folder")
        if sys.platform == "win32" and not all(map(possible_on_windows, names)):
            raise UnsafeNameError("its recorded name is one that no file on Windows can have")
        fd = os.dup(self._fd)
        for name in names[:-1]:
            try:
                below = openat.enter(fd, name, make=True)
            finally:
                os.close(fd)
            fd = below
        return TargetFile(fd, names[-1])


class TargetFile:
    """A name in an open directory. All methods block."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._part = f".syncd-{hashlib.sha256(os.fsencode(name)).hexdigest()[:24]}.part"

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._fd)

    def holds(self, size: int, hasher: Hasher, key: str, sha256: str | None = None) -> bool | None:
        """Say whether the file of that name is the one with this size, key and SHA-256; None if the name is free."""
        try:
            fd = openat.open_file(self._fd, self._name)
        except FileNotFoundError:
            return None
        except OSError:  # a symbolic link, a socket, or not to be read: whatever it is, it is not overwritten
            return False
        try:
            return _is(fd, size, hasher, key, sha256)
        finally:
            os.close(fd)

    @contextmanager
    def part(self) -> Generator["PartialFile"]:
        """Begin the file, in place of what an interrupted restore left of it; at the end the hidden name is gone."""
        self.sweep()
        fd = openat.create(self._fd, self._part)
        try:
            yield PartialFile(fd)
        finally:
            os.close(fd)
            self.sweep()

    def sweep(self) -> None:
        """Remove what an interrupted restore may have left beside the name."""
        with suppress(FileNotFoundError):
            openat.remove(self._fd, self._part)

    def put(self, part: "PartialFile", mtime_ns: int) -> None:
        """Give the part its time and its name; FileExistsError if the name is taken."""
        with suppress(OverflowError):  # a time that no file system of this machine can hold
            openat.set_times(part.fd, mtime_ns)
        os.fsync(part.fd)
        openat.rename(self._fd, self._part, self._name)


class PartialFile:
    """A file in the making. ``error`` is why it can't be written, once that is so."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.error: OSError | None = None

    def restart(self) -> None:
        """Have nothing in it."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def write(self, data: bytes) -> bool:
        """Append ``data``; False if that can't be. A few KiB into the page cache: it does not keep the loop."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            self.error = error
        return self.error is None

    def holds(self, size: int, hasher: Hasher, key: str, sha256: str | None = None) -> bool:
        """Say whether what was written is the file with this size, key and SHA-256. Blocks."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return _is(self.fd, size, hasher, key, sha256)


def _is(fd: int, size: int, hasher: Hasher, key: str, sha256: str | None) -> bool:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        return False
    for data in _pieces(fd):
        hasher.update(data)
    content = hasher.content()
    return content.key == key and sha256 in (None, content.sha256)


def _pieces(fd: int) -> Iterator[bytes]:
    while data := os.read(fd, READ):
        yield data
