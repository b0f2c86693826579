"""Limit what a receiver stores: a quota for all its content, and a reserve of free disk space.

The whole size of an upload counts from its beginning, so an accepted upload can always finish, and concurrent uploads
can't exceed the quota together. The free disk space is checked then and before each write: other programs use it, too.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.receiver.errors import ErrorCode, StorageFullError
from syncd.receiver.settings import GIB

_USUAL_SHARE = 20  # a twentieth of the disk is 5 %, what ext4 keeps for root


def usual_reserve(folder: str) -> int:
    """Return the default reserve in bytes: 1 GiB, or 5 % of the disk if that is less.

    `folder` is absolute and need not exist. Raises OSError if the disk does not exist.
    """
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return min(GIB, shutil.disk_usage(folder).total // _USUAL_SHARE)


class Space:
    """The space that both stores share. Sizes are in bytes. Thread-safe. `quota` None and `reserve` 0: no limit."""

    def __init__(self, folder: str, *, quota: int | None, reserve: int) -> None:
        self.quota = quota
        self._folder = folder
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used = 0
        self._being_written = 0

    @property
    def used(self) -> int:
        """Bytes of the stored files and of the unfinished uploads, which count in full."""
        return self._used

    def count(self, size: int) -> None:
        """Count content of an earlier process, without checking the quota."""
        with self._lock:
            self._used += size

    def claim(self, size: int) -> None:
        """Reserve `size` bytes for an upload. Raises StorageFullError and then reserves nothing."""
        with self._lock:
            if self.quota is not None and self._used + size > self.quota:
                raise StorageFullError(
                    ErrorCode.QUOTA_REACHED,
                    f"This receiver stores {self.quota} bytes at most (--quota): with {self._used} bytes used there is "
                    f"no room for {size} more. Remove some, or raise the quota, and start it again.",
                )
            self._leave_reserve(size)
            self._used += size

    def release(self, size: int) -> None:
        """Stop counting content that was dropped or removed."""
        with self._lock:
            self._used = max(0, self._used - size)

    @contextmanager
    def writing(self, size: int) -> Iterator[None]:
        """Announce a write of `size` bytes in the block. Raises StorageFullError if it would use the reserve."""
        with self._lock:
            self._leave_reserve(size)
            self._being_written += size
        try:
            yield
        finally:
            with self._lock:
                self._being_written -= size

    def _leave_reserve(self, size: int) -> None:
        if not self._reserve:
            return
        disk = shutil.disk_usage(self._folder)
        free = disk.free - self._being_written
        if disk.total and free - size < self._reserve:  # some network file systems report only zeros
            raise StorageFullError(
                ErrorCode.STORAGE_FULL,
                f"This receiver leaves {self._reserve} bytes of its disk free (--reserve): with {max(0, free)} bytes "
                f"free there is no room for {size} more. Make room on that disk.",
            )
