"""Walks over the whole tree of a folder, or a part of it, and finds its files.

Uses only names and ``stat`` and opens no file. It blocks: call it in a thread. A walk keeps no list of the files, so
its memory does not grow with the folder, only with the largest directory.
"""

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from syncd.core.model import FoundFile
from syncd.platform.file_info import is_link
from syncd.watch.kernel_watches import KernelWatches
from syncd.watch.patterns import LeftOut
from syncd.watch.recorded_files import RecordedFiles
from syncd.watch.scanner import BATCH_SIZE, GONE_ERRORS, Identity, WatchedTree

SORTED_AT_ONCE = 10_000
"""The number of names that are sorted in one call, which blocks all other threads."""


class Scan:
    """One walk over the matching files below ``start``.

    Files that equal their record in ``recorded`` are omitted. The walk visits the paths in the order of their bytes. It
    visits real directories before linked ones, and links in the order of their names. So a file with two paths is found
    under the same path each time. Links must not be followed if ``recorded`` is given, because links change the order.
    """

    def __init__(
        self,
        tree: WatchedTree,
        start: str = "",
        *,
        kernel_watches: KernelWatches | None = None,
        recorded: RecordedFiles | None = None,
    ) -> None:
        self._tree = tree
        self._start = start
        self._coverage = kernel_watches
        self._recorded = recorded
        self._links_todo: list[str] = []
        self._visited: set[Identity] = set()
        self._steps = self._walk()
        self.entries = 0
        """Number of directory entries so far, matching or not."""
        self.left_out = LeftOut()
        """The files so far that the patterns leave out, without those in directories that they leave out."""
        self.links: list[str] = []
        """Directories that the walk reached through a symbolic link."""
        self.unreadable: dict[str, str] = {}
        """Each path that could not be read, with the reason."""
        self.unwatched: list[str] = []
        """Directories without a watch, if ``kernel_watches`` is given; ``""`` is the root."""

    def next_batch(self) -> list[FoundFile] | None:
        """Return the found files among the next entries, possibly none; None at the end.

        Return early if ``recorded`` needs its next page. Raise OSError if the root itself cannot be listed.
        """
        batch: list[FoundFile] = []
        for number, found in enumerate(self._steps, 1):
            if found is not None:
                batch.append(found)
            if number == BATCH_SIZE or (self._recorded is not None and self._recorded.needs_page):
                return batch
        return batch or None

    def _walk(self) -> Iterator[FoundFile | None]:
        """Yield after each step: a found file, or None."""
        start = self._tree.on_disk_case(self._start) or self._start if self._start else ""
        ahead = [self._list(start)]
        while ahead or self._links_todo:
            if not ahead:
                ahead = [self._list(heapq.heappop(self._links_todo), linked=True)]
            directory = ahead[-1]
            name = next(directory.names, None)
            if name is None:
                ahead.pop()
            elif name.endswith(b"/"):
                ahead.append(self._list(os.fsdecode(directory.path + name[:-1])))
                yield None
            else:
                while self._recorded is not None and not self._recorded.cover(directory.path + name):
                    yield None
                yield self._visit(directory, name)
        while self._recorded is not None and not self._recorded.finish():
            yield None

    def _list(self, path: str, *, linked: bool = False) -> "_Directory":
        """List a directory: its files, and the directories to scan.

        A directory that was visited before, or cannot be listed now, counts as empty.
        """
        names: list[bytes] = []
        absolute = self._tree.absolute(path)
        try:
            if self._first_visit(absolute):
                if linked:
                    self.links.append(path)
                with os.scandir(absolute) as entries:
                    self._check_coverage(path)  # after scandir: an unreadable directory needs no watch yet
                    names.extend(name for entry in entries if (name := self._name(path, entry)) is not None)
        except OSError as error:
            self._record_error(path, error)
        prefix = os.fsencode(f"{path}/") if path else b""
        return _Directory(path=prefix, absolute=os.fsencode(os.path.join(absolute, "")), names=_in_order(names))

    def _name(self, directory: str, entry: "os.DirEntry[str]") -> bytes | None:
        """Return the name of an entry to visit, with ``/`` at the end for a directory.

        Return None for an entry that the walk skips, and for a linked directory, which is queued for later.
        """
        self.entries += 1
        try:
            linked = is_link(entry)
            if linked and not self._tree.follow_symlinks:
                return None
            if not entry.is_dir():
                return os.fsencode(entry.name)
            path = f"{directory}/{entry.name}" if directory else entry.name
            if not self._tree.descends_into(path):
                return None
            if linked:
                heapq.heappush(self._links_todo, path)
                return None
            return os.fsencode(f"{entry.name}/")
        except OSError as error:
            self._record_error(f"{directory}/{entry.name}" if directory else entry.name, error)
            return None

    def _first_visit(self, absolute: str) -> bool:
        if not self._tree.follow_symlinks:
            return True  # only links make loops
        found = os.stat(absolute)
        before = len(self._visited)
        self._visited.add((found.st_dev, found.st_ino))
        return len(self._visited) > before

    def _check_coverage(self, directory: str) -> None:
        if self._coverage is not None and not self._coverage.covers(os.stat(self._tree.absolute(directory))):
            self.unwatched.append(directory)

    def _visit(self, directory: "_Directory", name: bytes) -> FoundFile | None:
        raw_path = directory.path + name
        try:
            status = os.stat(directory.absolute + name, follow_symlinks=self._tree.follow_symlinks)
        except OSError as error:
            path = os.fsdecode(raw_path)
            if self._tree.matches(path):
                self._record_error(path, error)
            return None
        # An equal file was recorded before, so its path matches, or has to be ignored.
        if self._recorded is not None and stat.S_ISREG(status.st_mode) and self._recorded.equals(raw_path, status):
            return None
        path = os.fsdecode(raw_path)
        if self._tree.matches(path):
            return self._tree.found_file(path, status)
        if stat.S_ISREG(status.st_mode) and self._tree.leaves_out(path):
            self.left_out.add(path)
        return None

    def _record_error(self, path: str, error: OSError) -> None:
        if not path:
            raise error
        if error.errno not in GONE_ERRORS:
            self.unreadable[path] = error.strerror or str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Directory:
    """A directory during the walk.

    ``path`` is relative to the folder: empty, or with ``/`` at the end. ``absolute`` ends with a separator. ``names``
    are the names that the walk has not visited yet.
    """

    path: bytes
    absolute: bytes
    names: Iterator[bytes]


def _in_order(names: list[bytes]) -> Iterator[bytes]:
    """Return the names in the order of their bytes."""
    parts = [sorted(names[start : start + SORTED_AT_ONCE]) for start in range(0, len(names), SORTED_AT_ONCE)]
    return iter(parts[0]) if len(parts) == 1 else heapq.merge(*parts)
