"""Writes log lines to a file that only its owner can read, and rotates it by size.

Another program can move, delete or truncate the file at any time: each line goes to the file that is then at the path.
Write errors, such as a full disk, are ignored.
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
    """An open log file. The constructor creates missing folders and may raise OSError."""

    def __init__(self, settings: RotatedFile) -> None:
        self._path, self._max_size, self._keep = Path(settings.path), settings.max_size, settings.keep
        self._descriptor = self._open()

    def write_line(self, line: str) -> None:
        """Append a line. Rotate first if the line would make the file too large."""
        raw = (line + "\n").encode("utf-8", "backslashreplace")
        with suppress(OSError):  # this line goes to the open file, and the next line tries again
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
        """Return the file's size, or None if the path no longer leads to the open file."""
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
        """Rename the file to .1, .1 to .2 and so on; overwrite the oldest file."""
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._keep + 1))]
        for younger, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                younger.replace(older)
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        self._reopen()
