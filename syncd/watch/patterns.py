"""Which names count: include and exclude in gitignore syntax, upper and lower case alike."""

from collections.abc import Iterable
from functools import lru_cache

from syncd.config.gitignore import plain, spec

JUNK = (
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
"""Always excluded, unless a later ``!name`` takes it back: hidden, unfinished and the system's own files."""


class Patterns:
    """The verdict on relative paths with ``/`` between the parts. Safe to use from several threads."""

    def __init__(self, *, include: Iterable[str], exclude: Iterable[str]) -> None:
        self._include = spec(include)
        self._exclude = spec((*JUNK, *exclude))
        self._enters = lru_cache(maxsize=4096)(self._judge_directory)

    def takes(self, path: str) -> bool:
        """Say whether the file at ``path`` is to be uploaded."""
        folder, slash, _ = path.rpartition("/")
        if slash and not self._enters(folder):
            return False
        name = plain(path)
        return self._include.match_file(name) and not self._exclude.match_file(name)

    def enters(self, path: str) -> bool:
        """Say whether the directory at ``path`` is looked into; ``""`` is the folder itself.

        As in git, nothing below an excluded directory can be taken back.
        """
        return not path or self._enters(path)

    def _judge_directory(self, path: str) -> bool:
        parent, slash, _ = path.rpartition("/")
        return (not slash or self._enters(parent)) and not self._exclude.match_file(plain(path) + "/")
