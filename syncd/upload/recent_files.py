"""Caches small files, so that only the first remote of a folder reads them.

For the other remotes, :mod:`~syncd.upload.source` still opens the file and compares its fingerprint.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from syncd.core.model import Content, Fingerprint

MAX_BYTES = 16 * 1024 * 1024
"""The files that are kept have at most this many bytes together; the oldest are dropped first."""

_LOCKS = 64
FileState = tuple[str, str, Fingerprint]
"""Folder, path and fingerprint of a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFile:
    """The bytes of a file, and the result of a hasher of this ``kind``."""

    data: bytes
    kind: str
    content: Content


class RecentFiles:
    """The files that were read last. All methods may be called in any thread."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._reading = [threading.Lock() for _ in range(_LOCKS)]
        self._files: OrderedDict[FileState, tuple[ReadFile, int]] = OrderedDict()
        self._size = 0

    def reading(self, state: FileState) -> threading.Lock:
        """Return the lock to hold from :meth:`take` to :meth:`keep`, so that one thread reads."""
        return self._reading[hash(state) % _LOCKS]

    def keep(self, state: FileState, file: ReadFile, *, uses: int) -> None:
        """Keep a file until it was taken ``uses`` times, unless newer files need its place."""
        with self._lock:
            self._drop(state)
            self._files[state] = file, uses
            self._size += len(file.data)
            while self._size > self._max_bytes:
                self._drop(next(iter(self._files)))

    def take(self, state: FileState) -> ReadFile | None:
        """Return the file if it is kept in this state."""
        with self._lock:
            if (found := self._files.get(state)) is None:
                return None
            file, uses = found
            if uses > 1:
                self._files[state] = file, uses - 1
            else:
                self._drop(state)
            return file

    def _drop(self, state: FileState) -> None:
        if found := self._files.pop(state, None):
            self._size -= len(found[0].data)
