"""Deleting a file or moving it away, by open descriptors: no other module does that to a file of the user.

The path is walked without following a link, so that neither a link nor another folder in its place leads elsewhere. The
file is read while no process has it open for writing, gets a hidden name, is compared with what was read, and only then
goes. Whatever is not as it should be puts it back under its own name. All of it blocks.
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
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from syncd.core.model import Fingerprint
from syncd.platform import openat
from syncd.platform.move_target import Kept, Target
from syncd.platform.read_lease import ReadLease, Writer

__all__ = ["Altered", "Digest", "Kept", "Proven", "Target", "hidden_name", "put_back", "recover", "remove"]

READ_SIZE = 1024 * 1024
"""Bytes that are read at a time: so long may another program wait that wants to write to the file."""
CHANGED = "changed since the upload"
OPEN = "open for writing by another program"
LINKED = "reached through a symbolic link"
INTERRUPTED = "interrupted"
_HIDDEN = ".syncd-removing-{}.part"
_COPY = ".syncd-moving-{}.part"


class Altered(Kept):
    """Its bytes are others than were uploaded, though its stamp is the same."""


class Digest(Protocol):
    """Reads a file once, in order, and says whether its bytes are those that were confirmed."""

    def update(self, data: bytes) -> None:
        """Take the next bytes."""

    def matches(self) -> bool:
        """Say so, after the last bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proven:
    """What is known about a file that may go.

    ``digests`` judge its bytes. ``quiet`` says that it may go where no system call tells whether a process has it open
    for writing, as nothing has happened to it for long enough.
    """

    fingerprint: Fingerprint
    digests: Sequence[Digest]
    quiet: bool


def hidden_name() -> str:
    """Return a name that no file has, and that a watch leaves out."""
    return _HIDDEN.format(secrets.token_hex(8))


def remove(root: str, path: str, proven: Proven, hidden: str, *, target: Target | None, stop: threading.Event) -> None:
    """Delete the file ``path`` below ``root`` or move it to ``target``; :class:`Kept` or OSError if it stays.

    ``hidden``, of :func:`hidden_name`, is what the file is called for a moment. ``stop`` ends the reading.
    """
    with _opened(root, path) as entry, target.opened() if target is not None else nullcontext() as into:
        entry.fingerprint = proven.fingerprint
        entry.check_unchanged()
        entry.check_removable()
        with ReadLease(entry.file) as lease:
            entry.lease = lease
            if lease.granted is Writer.OPEN:
                raise Kept(OPEN)
            if lease.granted is Writer.UNKNOWN and not proven.quiet:
                raise Kept("not quiet for long enough, and its file system can't tell whether it is open for writing")
            sha256 = entry.read(proven.digests, stop)
            entry.check_unchanged()
            entry.hide(hidden)
            try:
                entry.check_unchanged()
                if into is None:
                    openat.remove(entry.directory, hidden)
                else:
                    entry.move(hidden, into, path, sha256, stop)
            except BaseException:
                with suppress(FileNotFoundError):
                    put_back(entry.directory, hidden, entry.name)
                raise


@contextmanager
def _opened(root: str, path: str) -> Iterator["_Entry"]:
    """Open the file ``path`` below ``root`` by way of its directories; :class:`Kept` where that leads over a link."""
    with _directory(root, path) as (directory, name):
        found = os.stat(name, dir_fd=directory, follow_symlinks=False) if sys.platform != "win32" else None
        if found and stat.S_ISLNK(found.st_mode):
            raise Kept(LINKED)
        if found and not stat.S_ISREG(found.st_mode):  # looked at before: to open a device may have effects
            raise Kept(CHANGED)
        file = openat.open_file(directory, name)
        try:
            yield _Entry(directory, name, file)
        finally:
            os.close(file)


@contextmanager
def _directory(root: str, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the directory that ``path`` is in below ``root``, and the last part of it."""
    directory = openat.open_directory(root)
    try:
        with _below(directory, path, make=make) as (above, name):
            yield above, name
    finally:
        os.close(directory)


@contextmanager
def _below(directory: int, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    *parents, name = path.split("/")
    opened = []
    try:
        for parent in parents:
            try:
                directory = openat.enter(directory, parent, make=make)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise Kept(LINKED) from None
                raise
            opened.append(directory)
        yield directory, name
    finally:
        for descriptor in opened:
            os.close(descriptor)


class _Entry:
    """A file and the directory that it is in, both open."""

    def __init__(self, directory: int, name: str, file: int) -> None:
        self.directory = directory
        self.name = name
        self.file = file
        self.lease: ReadLease | None = None
        self.fingerprint: Fingerprint | None = None
        """The one that the file must have."""

    def check_removable(self) -> None:
        """Raise PermissionError for a file that is marked read-only on Windows, where that keeps it from going."""
        if sys.platform == "win32" and os.fstat(self.file).st_file_attributes & stat.FILE_ATTRIBUTE_READONLY:
            raise PermissionError(errno.EACCES, "it is marked read-only: take the mark off", self.name)

    def check_unchanged(self) -> None:
        """Raise :class:`Kept` if the file has changed, or another program waits to write to it."""
        if self.lease is not None and self.lease.broken():
            raise Kept(OPEN)
        found = os.fstat(self.file)
        if Fingerprint(inode=found.st_ino, size=found.st_size, mtime_ns=found.st_mtime_ns) != self.fingerprint:
            raise Kept(CHANGED)

    def read(self, digests: Sequence[Digest], stop: threading.Event) -> str:
        """Read the file through ``digests`` and return its SHA-256; :class:`Kept` if one of them does not match."""
        whole = hashlib.sha256()
        for data in self._blocks(stop):
            whole.update(data)
            for digest in digests:
                digest.update(data)
        if not all(digest.matches() for digest in digests):
            raise Altered("its bytes are not those that were uploaded, so it is uploaded again")
        return whole.hexdigest()

    def _blocks(self, stop: threading.Event) -> Iterator[bytes]:
        os.lseek(self.file, 0, os.SEEK_SET)
        while data := os.read(self.file, READ_SIZE):
            if self.lease is not None and self.lease.broken():
                raise Kept(OPEN)
            if stop.is_set():
                raise Kept(INTERRUPTED)
            yield data

    def hide(self, hidden: str) -> None:
        """Give the name's file the name ``hidden``; :class:`Kept`, and it is put back, if it is not the open one."""
        # In one step: a link and an unlink would take away what has got the name in between.
        openat.rename_private(self.directory, self.name, hidden)
        if not self._is_open(hidden):
            put_back(self.directory, hidden, self.name)
            raise Kept(CHANGED)

    def _is_open(self, name: str) -> bool:
        """Say whether the file of that name is the open one."""
        if sys.platform == "win32":
            again = openat.open_file(self.directory, name)
            try:
                # Both are in one directory, so on one volume, whose number wine does not tell after a rename.
                return os.fstat(self.file).st_ino == os.fstat(again).st_ino != 0
            finally:
                os.close(again)
        return os.path.samestat(os.stat(name, dir_fd=self.directory, follow_symlinks=False), os.fstat(self.file))

    def move(self, hidden: str, into: int, path: str, sha256: str, stop: threading.Event) -> None:
        """Give the hidden file its own or, where that is taken, a numbered name in ``into``; never over another one."""
        with _below(into, path, make=True) as (above, name):
            stem, suffix = os.path.splitext(name)
            for number in count():
                wanted = f"{stem}-{number}{suffix}" if number else name
                try:
                    self._rename(hidden, above, wanted, sha256, stop)
                except FileExistsError:
                    if _holds(above, wanted, sha256):  # a crash came between the copy and the removal
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
            except (Kept, OSError):
                openat.remove(into, wanted)  # else each try would leave another copy
                raise

    def _copy(self, into: int, wanted: str, sha256: str, stop: threading.Event) -> None:
        """Copy the file, which has its name only when it is whole and on the disk."""
        part = _COPY.format(secrets.token_hex(8))
        copy = openat.create(into, part)
        try:
            digest = hashlib.sha256()
            for data in self._blocks(stop):
                digest.update(data)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(copy, rest) :]
            if digest.hexdigest() != sha256:
                raise Kept(CHANGED)
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
            shutil.copystat(self.file, copy)  # type: ignore[arg-type]  # it takes descriptors too


def _holds(directory: int, name: str, sha256: str) -> bool:
    """Say whether the regular file of that name has these bytes."""
    try:
        file = openat.open_file(directory, name)
    except OSError:
        return False
    digest = hashlib.sha256()
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            while data := os.read(file, READ_SIZE):
                digest.update(data)
    finally:
        os.close(file)
    return digest.hexdigest() == sha256


def put_back(directory: int, hidden: str, name: str) -> str:
    """Give a hidden file its own name again, or a numbered one if that is taken meanwhile; return which."""
    stem, suffix = os.path.splitext(name)
    for number in count():
        wanted = f"{stem}-{number}{suffix}" if number else name
        with suppress(FileExistsError):
            openat.rename(directory, hidden, wanted)
            return wanted
    raise AssertionError  # the numbers do not end


def recover(root: str, path: str, hidden: str) -> str | None:
    """Put back what a removal that was interrupted has hidden; return the name that it has now, None if nothing is.

    OSError if that can't be told now, as where ``root`` may be a mount point whose file system is missing.
    """
    if not os.listdir(root):
        raise FileNotFoundError(errno.ENOENT, "it is empty; is its file system mounted?", root)
    try:
        with _directory(root, path) as (directory, name):
            return put_back(directory, hidden, name)
    except (FileNotFoundError, Kept):
        return None
