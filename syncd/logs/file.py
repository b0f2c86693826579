"""A log file that only its owner can read, rotated by size. Errors such as a full disk are ignored.

Another program may move, delete or truncate the file at any time: each line goes to the file now at the path.
"""

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol


class RotatedFile(Protocol):
    """The path of a log file, its size limit in bytes, and the number of old files to keep."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def max_size(self) -> int: ...  # noqa: D102
    @property
    def keep(self) -> int: ...  # noqa: D102


class LogFile:
    """An open log file. Opening creates its folder if it is missing; raises OSError if that fails."""

    def __init__(self, settings: RotatedFile) -> None:
        self._path, self._max_size, self._keep = Path(settings.path), settings.max_size, settings.keep
        self._descriptor = self._open()

    def write_line(self, line: str) -> None:
        """Append a line; rotate first if the line would make the file too large."""
        raw = (line + "\n").encode("utf-8", "backslashreplace")
        with suppress(OSError):  # the open file is used, and the next line tries again
            size = self._size()
            if size is None:
                self._reopen()
            elif size and size + len(raw) > self._max_size:
                self._rotate()
        with suppress(OSError):  # a full disk must not stop the uploads
            os.write(self._descriptor, raw)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _size(self) -> int | None:
        """Return the size of the file; None if the path is missing or has another file than the open one."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return None
        return there.st_size if os.path.samestat(there, os.fstat(self._descriptor)) else None

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        return os.open(self._path, flags, 0o600)

    def _reopen(self) -> None:
        former = self._descriptor
        self._descriptor = self._open()
        os.close(former)

    def _rotate(self) -> None:
        """Rename the file to .1, .1 to .2 and so on; the oldest one is overwritten."""
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._keep + 1))]
        for younger, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                younger.replace(older)
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        self._reopen()
