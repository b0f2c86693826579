"""A log file that only its owner can read, put aside when it is full. A full disk is not the program's problem."""

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol


class RotatedFile(Protocol):
    """Where a log file is, when it is put aside, and how many old ones stay."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def max_size(self) -> int: ...  # noqa: D102
    @property
    def keep(self) -> int: ...  # noqa: D102


class LogFile:
    """The file as it is open now. Opening it makes its folder if need be; OSError when that fails."""

    def __init__(self, settings: RotatedFile) -> None:
        self._path, self._max_size, self._keep = Path(settings.path), settings.max_size, settings.keep
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor, self._size = self._open()

    def write_line(self, line: str) -> None:
        """Append a line; before it would make the file too large, begin a new one."""
        raw = (line + "\n").encode("utf-8", "backslashreplace")
        if self._size and self._size + len(raw) > self._max_size:
            with suppress(OSError):  # it goes on growing, and the next line tries again
                self._rotate()
        with suppress(OSError):  # a full disk must not stop the uploads
            self._size += os.write(self._descriptor, raw)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._path, flags, 0o600)
        return descriptor, os.fstat(descriptor).st_size

    def _rotate(self) -> None:
        """Move the file to .1, .1 to .2 and so on; what is beyond `keep` goes."""
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._keep + 1))]
        for younger, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                younger.replace(older)
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        full = self._descriptor
        self._descriptor, self._size = self._open()
        os.close(full)
