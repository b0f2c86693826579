"""Checks that no program still writes to a file, just before the file is reported.

The scanner never opens a file; this check does. It blocks: call it in a thread.
"""

import errno
import os
from collections.abc import Collection, Iterable
from enum import Enum, auto

from syncd.core.model import FoundFile
from syncd.platform.file_info import birth_ns
from syncd.platform.openat import open_inside
from syncd.platform.read_lease import Writer, writer
from syncd.watch.scanner import WatchedTree

FIRST_RECHECK_SECONDS, MAX_RECHECK_SECONDS = 0.5, 5.0
"""First and longest pause between two checks of a file that is open for writing; each pause doubles the last."""


class Unfinished(Enum):
    """Why a file cannot be reported yet."""

    IN_USE = auto()
    """A program has it open for writing."""
    CHANGED = auto()
    """It changed since it was seen, or is gone."""


def inspect(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
    """Return ``seen`` with its birth time, unless a program has the file open for writing.

    Return ``seen`` unchanged if the file cannot be opened: the upload opens the file too and reports the error.
    """
    if seen.fingerprint is None:
        return seen
    try:
        descriptor = open_inside(tree.root, seen.path, follow_symlinks=tree.follow_symlinks)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return Unfinished.IN_USE
        return Unfinished.CHANGED if error.errno in (errno.ENOENT, errno.ENOTDIR) else seen
    try:
        if writer(descriptor) is Writer.OPEN:
            return Unfinished.IN_USE
        status, of = os.fstat(descriptor), seen.fingerprint
        if (status.st_ino, status.st_size, status.st_mtime_ns) != (of.inode, of.size, of.mtime_ns):
            return Unfinished.CHANGED
        return FoundFile(  # replace() would take three times as long
            path=seen.path,
            fingerprint=of,
            unfit=seen.unfit,
            birth_ns=birth_ns(descriptor),
            moved_from=seen.moved_from,
            closed=seen.closed,
            backlog=seen.backlog,
        )
    finally:
        os.close(descriptor)


class InUseFiles:
    """The files that a program has open for writing.

    Each has a pause until its next check.
    """

    def __init__(self) -> None:
        self._pauses: dict[str, float] = {}

    @property
    def paths(self) -> Collection[str]:
        """The paths of the files, the earliest first."""
        return self._pauses.keys()

    def next_pause(self, path: str) -> float:
        """Add ``path`` if it is new; return the seconds until its next check."""
        last = self._pauses.get(path)
        pause = FIRST_RECHECK_SECONDS if last is None else min(MAX_RECHECK_SECONDS, 2 * last)
        self._pauses[path] = pause
        return pause

    def discard(self, paths: Iterable[str]) -> None:
        """Remove these paths, whose files are reported or gone."""
        for path in paths:
            self._pauses.pop(path, None)
