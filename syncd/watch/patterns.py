"""Matches paths against include and exclude patterns in gitignore syntax, ignoring case."""

from collections.abc import Iterable
from functools import lru_cache

from syncd.config.gitignore import plain, spec

DEFAULT_EXCLUDES = (
    ".*",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.download",
    "*.tmp",
    "~*",
    "*~",
    "@eaDir/",
    "SYNOFILE_THUMB*",
    "\\#recycle/",
    "\\#snapshot/",
    "@Recycle/",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "lost+found/",
    "Thumbs.db",
    "desktop.ini",
)
"""Hidden, unfinished and system files: excluded unless a later ``!pattern`` includes them again."""


class Patterns:
    """Decides which relative paths match, with ``/`` between the parts. Thread-safe."""

    def __init__(self, *, include: Iterable[str], exclude: Iterable[str]) -> None:
        self._include = spec(include)
        self._exclude = spec((*DEFAULT_EXCLUDES, *exclude))
        self._descends_into = lru_cache(maxsize=4096)(self._is_included_directory)

    def matches(self, path: str) -> bool:
        """Return whether the file at ``path`` matches."""
        folder, slash, _ = path.rpartition("/")
        if slash and not self._descends_into(folder):
            return False
        name = plain(path)
        return self._include.match_file(name) and not self._exclude.match_file(name)

    def descends_into(self, path: str) -> bool:
        """Return whether the directory at ``path`` is scanned; ``""`` is the folder itself.

        As in git, no pattern includes a path below an excluded directory again.
        """
        return not path or self._descends_into(path)

    def _is_included_directory(self, path: str) -> bool:
        parent, slash, _ = path.rpartition("/")
        return (not slash or self._descends_into(parent)) and not self._exclude.match_file(plain(path) + "/")
