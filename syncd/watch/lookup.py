"""Looks up single files of a folder.

While another folder is at the path of the root, no file counts as gone. The methods block: call them in a thread.
:class:`syncd.watch.debounce.SettleQueue` asks for the files that are due, and for recorded files that a scan did not
find.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from structlog.typing import FilteringBoundLogger

from syncd.core.model import FoundFile
from syncd.watch.scanner import Identity, WatchedTree


class FileLookup:
    """Finds files by their paths.

    ``on_doubt`` is called if a file is missing and the root is not the expected folder.
    """

    def __init__(self, tree: WatchedTree, *, on_doubt: Callable[[], None], log: FilteringBoundLogger) -> None:
        self._tree = tree
        self._on_doubt = on_doubt
        self._log = log
        self.root: Identity | None = None
        """The folder that the paths belong to; None while it is offline."""

    def find(self, paths: Iterable[str]) -> dict[str, FoundFile | None]:
        """Return the file at each path, or None; leave out paths that cannot be checked now."""
        found, unreadable = self._tree.find_files(paths)
        for path, reason in unreadable.items():
            self._log.warning("folder.unreadable", path=path, reason=reason)
        if None in found.values() and not self.root_is_unchanged():
            self._on_doubt()  # the folder may be back before the folder watch notices its absence
            return {path: seen for path, seen in found.items() if seen}
        return found

    def find_with_birth_times(self, paths: Iterable[str]) -> dict[str, FoundFile | None]:
        """Do as :meth:`find`, with birth times: a replaced file may have the same fingerprint."""
        return {
            path: replace(seen, birth_ns=self._tree.birth_ns(seen.path)) if seen else None
            for path, seen in self.find(paths).items()
        }

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Return the paths without a file; a file whose name differs in case is at another path."""
        return [path for path, seen in self.find(paths).items() if not is_at(path, seen)]

    def root_is_unchanged(self) -> bool:
        """Return whether the folder at the path of the root is the expected one."""
        try:
            return self._tree.identity() == self.root
        except OSError:
            return False


def is_at(path: str, seen: FoundFile | None) -> bool:
    """Return whether a file was found at exactly this path."""
    return seen is not None and seen.path == path
