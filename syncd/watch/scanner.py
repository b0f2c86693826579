"""Finds the file at one path of a folder, and decides which paths belong to the folder.

Uses only names and ``stat`` and opens no file. It blocks: call it in a thread. :mod:`syncd.watch.walk` finds all files.
"""

import errno
import os
import stat
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from syncd.config.model import Folder
from syncd.config.units import format_size
from syncd.core.model import Fingerprint, FoundFile
from syncd.core.settle import TICK
from syncd.paths import inside
from syncd.platform.file_info import birth_ns, on_disk_case, remote_file_system
from syncd.platform.files import join_path, to_long_path
from syncd.watch.kernel_watches import KernelWatches
from syncd.watch.patterns import Patterns

EMPTY = "empty"
NOT_REGULAR = "not a regular file"
BATCH_SIZE = 1000
"""Directory entries that a scan reads, or files that the queue processes, at a time."""

Identity = tuple[int, int]
"""Device and inode of a folder: after an unmount, for example, the same path leads to another folder."""
_CLOCK_REALTIME_COARSE = 5
"""Linux's clock of the mtimes; :mod:`time` has no name for it."""
GONE_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def unfit(size: int, *, max_size: int) -> str | None:
    """Return why a file of ``size`` bytes cannot be uploaded; None if it can."""
    if size == 0:
        return EMPTY
    return f"larger than max_size ({format_size(max_size)})" if size > max_size else None


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Build the fingerprint of a ``stat`` result."""
    return Fingerprint(inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedTree:
    """A configured folder on disk.

    Paths are relative to ``root``, with ``/`` between the parts.
    """

    root: str
    patterns: Patterns
    recursive: bool
    follow_symlinks: bool
    max_size: int

    @classmethod
    def of(cls, settings: Folder) -> "WatchedTree":
        """Build the tree of a configured folder."""
        return cls(
            root=settings.path,
            patterns=Patterns(include=settings.include, exclude=settings.exclude),
            recursive=settings.recursive,
            follow_symlinks=settings.follow_symlinks,
            max_size=settings.max_size,
        )

    def absolute(self, path: str) -> str:
        """Return the absolute path; ``""`` is the root."""
        return join_path(self.root, path) if path else to_long_path(self.root)

    def relative(self, absolute: str) -> str | None:
        """Return the path below the root; None for a path outside the tree.

        The inverse of :meth:`absolute`.
        """
        return inside(os.path.normpath(to_long_path(self.root)), os.path.normpath(to_long_path(absolute)))

    def on_disk_case(self, path: str, known: dict[str, str | None] | None = None) -> str | None:
        """As :func:`syncd.platform.file_info.on_disk_case`."""
        return on_disk_case(self.root, path, known)

    def matches(self, path: str) -> bool:
        """Return whether a file at ``path`` would be uploaded, judging by its path alone."""
        return (self.recursive or "/" not in path) and self.patterns.matches(path)

    def leaves_out(self, path: str) -> bool:
        """Return whether the configured patterns leave out a file at ``path``."""
        return (self.recursive or "/" not in path) and self.patterns.leaves_out(path)

    def descends_into(self, path: str) -> bool:
        """Return whether a directory at ``path`` is scanned."""
        return not path or (self.recursive and self.patterns.descends_into(path))

    def identity(self) -> Identity:
        """Return which folder is at the root now.

        Raise OSError if none is there or it cannot be listed.
        """
        root = to_long_path(self.root)
        os.scandir(root).close()
        found = os.stat(root)
        return found.st_dev, found.st_ino

    def mtime_tick(self) -> float:
        """Return the seconds by which the mtime of a write may be behind the clock."""
        if sys.platform != "linux" or remote_file_system(self.root) is not None:
            return TICK
        return min(TICK, 2 * time.clock_getres(_CLOCK_REALTIME_COARSE))  # twice, because a tick may be late

    def unwatched(self, directories: Iterable[str], kernel_watches: KernelWatches) -> set[str]:
        """Return the existing directories among ``directories`` that have no watch."""
        found = set()
        for path in directories:
            with suppress(OSError):
                if not kernel_watches.covers(os.stat(self.absolute(path))):
                    found.add(path)
        return found

    def find_file(self, path: str) -> FoundFile | None:
        """Return the file at ``path``; None without one. Raise OSError if that is unknown."""
        try:
            found = os.stat(self.absolute(path), follow_symlinks=self.follow_symlinks)
        except OSError as error:
            if error.errno in GONE_ERRORS:
                return None
            raise
        return self.found_file(path, found)

    def found_file(self, path: str, status: os.stat_result) -> FoundFile | None:
        """Return the file at ``path`` by its status; None for a directory or a link."""
        if stat.S_ISREG(status.st_mode):
            reason = unfit(status.st_size, max_size=self.max_size)
            return FoundFile(path=path, fingerprint=fingerprint_of(status), unfit=reason)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            return None
        return FoundFile(path=path, fingerprint=None, unfit=NOT_REGULAR)

    def find_files(self, paths: Iterable[str]) -> tuple[dict[str, FoundFile | None], dict[str, str | None]]:
        """Return the file at each path, or None, and the reason for each unreadable path.

        A found file has its path in the case on disk, which may differ from the case of the given path.
        """
        found: dict[str, FoundFile | None] = {}
        unreadable: dict[str, str | None] = {}
        known: dict[str, str | None] = {}
        for path in paths:
            try:
                on_disk = self.on_disk_case(path, known)
                found[path] = None if on_disk is None else self.find_file(on_disk)
            except OSError as error:
                unreadable[path] = error.strerror
        return found, unreadable

    def birth_ns(self, path: str) -> int | None:
        """Return when the file at ``path`` was created; None if the system does not report it."""
        return birth_ns(self.absolute(path), follow_symlinks=self.follow_symlinks)
