"""Compares the files that a walk finds with the recorded files.

Both are in the order of their paths, and the records are read page by page.
:class:`syncd.watch.walk.Scan` asks for each file whether it equals its record, and leaves such files out. The walk
runs in a thread, but only the event loop can read the records. So the walk pauses at the end of each page, and
:mod:`syncd.watch.scans` adds the next one, which was read meanwhile.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping

from syncd.core.settle import MAX_RACY_SECONDS
from syncd.watch.hints import MAX_PENDING_FILES

Stamp = tuple[int, int, int]
"""Inode, size in bytes and mtime in nanoseconds of a file."""
Page = Mapping[bytes, Stamp | None]
"""Recorded files by their path, as bytes. A file without a stamp has to be reported even if it is unchanged."""
PAGE_SIZE = 2000
"""The number of records that are read at a time."""
_SECOND = 1_000_000_000


class RecordedFiles:
    """The recorded files of a folder during one walk.

    The walk visits the paths in the order of their bytes. ``read`` returns the page that follows a path, or None if it
    cannot be read. ``max_size`` and ``settle`` are those of the folder, ``wall`` is the time in seconds since the
    epoch.
    """

    def __init__(
        self,
        read: Callable[[bytes], Coroutine[None, None, Page | None]],
        *,
        max_size: int,
        settle: float,
        wall: float,
    ) -> None:
        self._read = read
        self._ahead: asyncio.Task[Page | None] | None = None
        self._max_size = max_size
        self._quiet_before_ns = int((wall - max(settle, MAX_RACY_SECONDS)) * _SECOND)
        self._page: dict[bytes, Stamp | None] = {}
        self._last = False
        self._end = b""
        self.needs_page = True
        """Whether the walk waits for :meth:`load_page`."""
        self.unchanged = 0
        """Number of files that were equal to their records."""
        self.missing: list[str] | None = []
        """Recorded paths that the walk has not visited; None if they are too many or the records could not be read."""

    async def load_page(self) -> None:
        """Add the next page, and start to read the one after it."""
        self.add(await (self._ahead or self._read(self._end)))
        self._ahead = None if self._last else asyncio.create_task(self._read(self._end))

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.cancel()

    def add(self, page: Page | None) -> None:
        """Add a page, or None if it could not be read.

        A page with fewer than ``PAGE_SIZE`` files is the last one.
        """
        self.needs_page = False
        if page is None:
            self._last, self.missing = True, None
            return
        self._page = dict(page)
        self._last = len(page) < PAGE_SIZE
        self._end = max(page, default=self._end)

    def cover(self, path: bytes) -> bool:
        """Return whether the current page covers ``path``; else request the next page.

        The last page covers all further paths.
        """
        if path <= self._end or self._last:
            return True
        self._next_page()
        return False

    def finish(self) -> bool:
        """Finish the comparison with the current page, after the end of the walk.

        Return whether it was the last page; otherwise request the next page.
        """
        self._next_page()
        self.needs_page = not self._last
        return self._last

    def equals(self, path: bytes, status: os.stat_result) -> bool:
        """Return whether the file is quiet, fit for upload and equal to its record."""
        known = self._page.pop(path, None)
        if (
            known == (status.st_ino, status.st_size, status.st_mtime_ns)
            and 0 < status.st_size <= self._max_size
            and status.st_mtime_ns < self._quiet_before_ns
        ):
            self.unchanged += 1
            return True
        return False

    def _next_page(self) -> None:
        if self.missing is not None:
            self.missing += map(os.fsdecode, self._page)
            if len(self.missing) > MAX_PENDING_FILES:
                self.missing = None
        self._page = {}
        self.needs_page = True
