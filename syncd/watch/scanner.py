"""What is in a folder now: one look at a path, and a walk over all of them.

Works on names and `stat` alone, opens no file, and blocks: call it in a thread. A walk keeps no list of what it
saw, whatever the size of the folder.
"""

import errno
import heapq
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from syncd.config.model import Folder
from syncd.config.units import format_size
from syncd.core.model import Fingerprint, FoundFile
from syncd.paths import inside
from syncd.platform.birth_time import birth_ns
from syncd.platform.case import spelled
from syncd.platform.open_flags import below, extended
from syncd.watch.coverage import Coverage
from syncd.watch.patterns import Patterns

if sys.platform == "win32":
    from syncd.platform.windows.files import is_link

EMPTY = "empty"
NOT_REGULAR = "not a regular file"
BATCH = 1000
"""Directory entries, or files, that are handled at a time."""

Identity = tuple[int, int]
"""Device and inode of a folder: a path may come to mean another one, as after an unmount."""
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def unfit(size: int, *, max_size: int) -> str | None:
    """Return why a file of ``size`` bytes can't be uploaded, if it can't."""
    if size == 0:
        return EMPTY
    return f"larger than max_size ({format_size(max_size)})" if size > max_size else None


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the stamp that ``stat`` shows."""
    return Fingerprint(inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A configured folder as it lies on disk. Paths are relative to ``root``, with ``/`` between the parts."""

    root: str
    patterns: Patterns
    recursive: bool
    follow_symlinks: bool
    max_size: int

    @classmethod
    def of(cls, settings: Folder) -> "Tree":
        """Return the tree that the configuration speaks of."""
        return cls(
            root=settings.path,
            patterns=Patterns(include=settings.include, exclude=settings.exclude),
            recursive=settings.recursive,
            follow_symlinks=settings.follow_symlinks,
            max_size=settings.max_size,
        )

    def full(self, path: str) -> str:
        """Return the absolute path; ``""`` is the root."""
        return below(self.root, path) if path else extended(self.root)

    def relative(self, full: str) -> str | None:
        """Return what :meth:`full` makes ``full`` of; None for a path outside the tree."""
        return inside(os.path.normpath(extended(self.root)), os.path.normpath(extended(full)))

    def spelled(self, path: str, known: dict[str, str | None] | None = None) -> str | None:
        """As :func:`syncd.platform.case.spelled`."""
        return spelled(self.root, path, known)

    def takes(self, path: str) -> bool:
        """Say whether a file at ``path`` would be uploaded, by its name and place."""
        return (self.recursive or "/" not in path) and self.patterns.takes(path)

    def enters(self, path: str) -> bool:
        """Say whether a directory at ``path`` is looked into."""
        return not path or (self.recursive and self.patterns.enters(path))

    def identity(self) -> Identity:
        """Return which folder the root is now; OSError if there is none, or none that can be listed."""
        root = extended(self.root)
        os.scandir(root).close()
        found = os.stat(root)
        return found.st_dev, found.st_ino

    def uncovered(self, directories: Iterable[str], coverage: Coverage) -> set[str]:
        """Return those of the directories that are there and that ``coverage`` does not have."""
        found = set()
        for path in directories:
            with suppress(OSError):
                if not coverage.covers(os.stat(self.full(path))):
                    found.add(path)
        return found

    def look(self, path: str) -> FoundFile | None:
        """Return what is at ``path``: None if there is no file. OSError where that can't be told."""
        try:
            found = os.stat(self.full(path), follow_symlinks=self.follow_symlinks)
        except OSError as error:
            if error.errno in _VANISHED:
                return None
            raise
        if stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode):
            return None
        if not stat.S_ISREG(found.st_mode):
            return FoundFile(path=path, fingerprint=None, unfit=NOT_REGULAR)
        return FoundFile(
            path=path, fingerprint=fingerprint_of(found), unfit=unfit(found.st_size, max_size=self.max_size)
        )

    def birth_ns(self, path: str) -> int | None:
        """Return when the file at ``path`` was made; None where that can't be told."""
        return birth_ns(self.full(path), follow_symlinks=self.follow_symlinks)


class Scan:
    """One walk over the files that match, below ``start``.

    Directories that are real come before those behind links, and links in the order of their names, so that a
    file which can be reached in two ways is found under the same path each time.
    """

    def __init__(self, tree: Tree, start: str = "", *, coverage: Coverage | None = None) -> None:
        self._tree = tree
        self._coverage = coverage
        self._ahead = [start]
        self._links_ahead: list[str] = []
        self._visited: set[Identity] = set()
        self._entries = self._walk()
        self.entries = 0
        """Directory entries seen, matching or not."""
        self.links: list[str] = []
        """Directories that were reached through a symbolic link."""
        self.unreadable: dict[str, str] = {}
        """What could not be looked into, and why."""
        self.uncovered: list[str] = []
        """Directories that ``coverage``, where it is given, does not have; ``""`` is the root."""

    def batch(self) -> list[FoundFile] | None:
        """Return the matching files among the next entries (maybe none); None at the end.

        OSError when the root itself can't be listed.
        """
        entries = list(islice(self._entries, BATCH))
        self.entries += len(entries)
        return [seen for seen in entries if seen is not None] if entries else None

    def _walk(self) -> Iterator[FoundFile | None]:
        self._ahead = [self._tree.spelled(start) or start for start in self._ahead if start] or [""]
        while self._ahead or self._links_ahead:
            linked = not self._ahead
            directory = heapq.heappop(self._links_ahead) if linked else self._ahead.pop()
            try:
                if not self._first_visit(directory):
                    continue
                if linked:
                    self.links.append(directory)
                with os.scandir(self._tree.full(directory)) as entries:
                    self._look_at_coverage(directory)  # what can't be read needs no watch yet
                    for entry in entries:
                        yield self._visit(f"{directory}/{entry.name}" if directory else entry.name, entry)
            except OSError as error:
                self._note(directory, error)

    def _first_visit(self, directory: str) -> bool:
        if not self._tree.follow_symlinks:
            return True  # without links there are no loops
        found = os.stat(self._tree.full(directory))
        before = len(self._visited)
        self._visited.add((found.st_dev, found.st_ino))
        return len(self._visited) > before

    def _look_at_coverage(self, directory: str) -> None:
        if self._coverage is not None and not self._coverage.covers(os.stat(self._tree.full(directory))):
            self.uncovered.append(directory)

    def _visit(self, path: str, entry: "os.DirEntry[str]") -> FoundFile | None:
        tree = self._tree
        try:
            is_link = _is_link(entry)
            if is_link and not tree.follow_symlinks:
                return None
            if entry.is_dir():
                if tree.enters(path):
                    if is_link:
                        heapq.heappush(self._links_ahead, path)
                    else:
                        self._ahead.append(path)
                return None
            return tree.look(path) if tree.takes(path) else None
        except OSError as error:
            self._note(path, error)
            return None

    def _note(self, path: str, error: OSError) -> None:
        if not path:
            raise error
        if error.errno not in _VANISHED:
            self.unreadable[path] = error.strerror or str(error)


def _is_link(entry: "os.DirEntry[str]") -> bool:
    if sys.platform == "win32":
        found = entry.stat(follow_symlinks=False)
        return bool(found.st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT) and is_link(found.st_reparse_tag)
    return entry.is_symlink()
