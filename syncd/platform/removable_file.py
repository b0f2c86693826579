"""Opens, reads, hides, moves and copies a file that syncd removes after its upload.

Each method is one step; :func:`syncd.platform.removal.remove` calls them in order. Links are never followed. All
functions block.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Protocol

from syncd.core.model import Fingerprint
from syncd.platform import openat
from syncd.platform.archive_directory import NotRemovedError
from syncd.platform.read_lease import ReadLease

READ_BLOCK_BYTES = 1024 * 1024
"""Bytes per read. Another program that wants to write to the file waits for at most one read."""
CHANGED = "changed since the upload"
OPEN = "open for writing by another program"
LINKED = "reached through a symbolic link"
INTERRUPTED = "interrupted"
_COPY_NAME = ".syncd-moving-{}.part"


class ContentMismatchError(NotRemovedError):
    """The content is not what was uploaded, although size and modification time are the same."""


class Digest(Protocol):
    """Compares the content of a file, passed once in order, with what the servers confirmed."""

    def update(self, data: bytes) -> None:
        """Add the next bytes."""

    def matches(self) -> bool:
        """Return whether the content matches, after the last bytes."""


@contextmanager
def open_removable(root: str, path: str) -> Iterator["RemovableFile"]:
    """Open the file ``path`` below ``root`` directory by directory.

    Raises :class:`NotRemovedError` for a link on the path.
    """
    with open_parent(root, path) as (directory, name):
        found = os.stat(name, dir_fd=directory, follow_symlinks=False) if sys.platform != "win32" else None
        if found and stat.S_ISLNK(found.st_mode):
            raise NotRemovedError(LINKED)
        if found and not stat.S_ISREG(found.st_mode):  # check first: opening a device may have effects
            raise NotRemovedError(CHANGED)
        file = openat.open_file(directory, name)
        try:
            yield RemovableFile(directory, name, file)
        finally:
            os.close(file)


@contextmanager
def open_parent(root: str, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Open the parent directory of ``path`` below ``root``.

    Yield it and the last part of the path.
    """
    directory = openat.open_directory(root)
    try:
        with _open_parents(directory, path, make=make) as (above, name):
            yield above, name
    finally:
        os.close(directory)


@contextmanager
def _open_parents(directory: int, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    *parents, name = path.split("/")
    opened = []
    try:
        for parent in parents:
            try:
                directory = openat.enter(directory, parent, make=make)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise NotRemovedError(LINKED) from None
                raise
            opened.append(directory)
        yield directory, name
    finally:
        for descriptor in opened:
            os.close(descriptor)


class RemovableFile:
    """An open file and its open directory."""

    def __init__(self, directory: int, name: str, file: int) -> None:
        self.directory = directory
        self.name = name
        self.file = file
        self.lease: ReadLease | None = None
        self.fingerprint: Fingerprint | None = None
        """Fingerprint that the file must have."""

    def check_removable(self) -> None:
        """Raise PermissionError if Windows cannot remove the file because it is read-only."""
        if sys.platform == "win32" and os.fstat(self.file).st_file_attributes & stat.FILE_ATTRIBUTE_READONLY:
            raise PermissionError(errno.EACCES, "the file is read-only; clear the attribute", self.name)

    def check_unchanged(self) -> None:
        """Raise :class:`NotRemovedError` if the file has changed or is about to change.

        A broken lease means that another program is about to write to the file.
        """
        if self.lease is not None and self.lease.broken():
            raise NotRemovedError(OPEN)
        found = os.fstat(self.file)
        if Fingerprint(inode=found.st_ino, size=found.st_size, mtime_ns=found.st_mtime_ns) != self.fingerprint:
            raise NotRemovedError(CHANGED)

    def read(self, digests: Sequence[Digest], stop: threading.Event) -> str:
        """Pass the content to ``digests`` and return its SHA-256.

        Raises :class:`ContentMismatchError` if one does not match.
        """
        whole = hashlib.sha256()
        for data in self._blocks(stop):
            whole.update(data)
            for digest in digests:
                digest.update(data)
        if not all(digest.matches() for digest in digests):
            raise ContentMismatchError("the content is not what was uploaded, so the file is uploaded again")
        return whole.hexdigest()

    def _blocks(self, stop: threading.Event) -> Iterator[bytes]:
        os.lseek(self.file, 0, os.SEEK_SET)
        while data := os.read(self.file, READ_BLOCK_BYTES):
            if self.lease is not None and self.lease.broken():
                raise NotRemovedError(OPEN)
            if stop.is_set():
                raise NotRemovedError(INTERRUPTED)
            yield data

    def hide(self, hidden: str) -> None:
        """Rename the file to ``hidden``.

        If another file has taken its name, put that back and raise :class:`NotRemovedError`.
        """
        # One step: a link and an unlink could remove a file that gets the name in between.
        openat.rename_private(self.directory, self.name, hidden)
        if not self._is_open(hidden):
            put_back(self.directory, hidden, self.name)
            raise NotRemovedError(CHANGED)

    def _is_open(self, name: str) -> bool:
        """Return whether ``name`` is the open file."""
        if sys.platform == "win32":
            again = openat.open_file(self.directory, name)
            try:
                # Compare file IDs only: both are on one volume, whose number wine does not report after a rename.
                return os.fstat(self.file).st_ino == os.fstat(again).st_ino != 0
            finally:
                os.close(again)
        return os.path.samestat(os.stat(name, dir_fd=self.directory, follow_symlinks=False), os.fstat(self.file))

    def move(self, hidden: str, into: int, path: str, sha256: str, stop: threading.Event) -> None:
        """Move the hidden file to ``path`` below ``into``, with a number if the name is taken."""
        with _open_parents(into, path, make=True) as (above, name):
            stem, suffix = os.path.splitext(name)
            for number in count():
                wanted = f"{stem}-{number}{suffix}" if number else name
                try:
                    self._rename(hidden, above, wanted, sha256, stop)
                except FileExistsError:
                    if _has_content(above, wanted, sha256):  # a crash between copy and removal
                        openat.remove(self.directory, hidden)
                        return
                else:
                    return

    def _rename(self, hidden: str, into: int, wanted: str, sha256: str, stop: threading.Event) -> None:
        try:
            openat.rename(self.directory, hidden, wanted, into=into)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(into, wanted, sha256, stop)
            try:
                self.check_unchanged()
                openat.remove(self.directory, hidden)
            except (NotRemovedError, OSError):
                openat.remove(into, wanted)  # otherwise each attempt would leave another copy
                raise

    def _copy(self, into: int, wanted: str, sha256: str, stop: threading.Event) -> None:
        """Copy the file; the copy gets its name only when it is complete and on the disk."""
        part = _COPY_NAME.format(secrets.token_hex(8))
        copy = openat.create(into, part)
        try:
            digest = hashlib.sha256()
            for data in self._blocks(stop):
                digest.update(data)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(copy, rest) :]
            if digest.hexdigest() != sha256:
                raise NotRemovedError(CHANGED)
            self._copy_status(copy)
            os.fsync(copy)
            openat.rename(into, part, wanted)
            openat.sync(into)
        finally:
            os.close(copy)
            with suppress(FileNotFoundError):
                openat.remove(into, part)

    def _copy_status(self, copy: int) -> None:
        if sys.platform == "win32":
            openat.set_times(copy, os.fstat(self.file).st_mtime_ns)
        else:
            shutil.copystat(self.file, copy)  # type: ignore[arg-type]  # accepts descriptors too


def _has_content(directory: int, name: str, sha256: str) -> bool:
    """Return whether ``name`` is a regular file with this SHA-256."""
    try:
        file = openat.open_file(directory, name)
    except OSError:
        return False
    digest = hashlib.sha256()
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            while data := os.read(file, READ_BLOCK_BYTES):
                digest.update(data)
    finally:
        os.close(file)
    return digest.hexdigest() == sha256


def put_back(directory: int, hidden: str, name: str) -> str:
    """Rename a hidden file back to ``name``, with a number if the name is taken.

    Return the new name.
    """
    stem, suffix = os.path.splitext(name)
    for number in count():
        wanted = f"{stem}-{number}{suffix}" if number else name
        with suppress(FileExistsError):
            openat.rename(directory, hidden, wanted)
            return wanted
    raise AssertionError  # the numbers do not end
