"""Limits the content of a receiver: by a quota, and by a reserve of disk space.

An upload counts in full from its start, so that an accepted upload can always finish, and concurrent uploads cannot
exceed the quota together. The free disk space is checked at the start and before each write, because other programs use
the disk too.

Other full disks: `syncd.store.database` for the job store, and `syncd.daemon.dashboard_uploads` for a file that the
dashboard saves into a watched folder.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.receiver.errors import ErrorCode, StorageFullError
from syncd.receiver.settings import GIB

_DEFAULT_DIVISOR = 20  # one twentieth of the disk: the 5 % that ext4 reserves for root


def default_reserve(folder: str) -> int:
    """Return the default reserve in bytes: 1 GiB, or 5 % of the disk if that is less.

    `folder` is absolute and need not exist. Raises OSError if the disk does not exist.
    """
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return min(GIB, shutil.disk_usage(folder).total // _DEFAULT_DIVISOR)


class StorageLimits:
    """The limits that both stores share. Thread-safe; sizes are in bytes.

    `quota` None and `reserve` 0 mean no limit.
    """

    def __init__(self, folder: str, *, quota: int | None, reserve: int) -> None:
        self.quota = quota
        self._folder = folder
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used = 0
        self._being_written = 0

    @property
    def used(self) -> int:
        """The bytes of the stored files and of the unfinished uploads, in full."""
        return self._used

    def add_existing(self, size: int) -> None:
        """Count content of an earlier process, without checking the quota."""
        with self._lock:
            self._used += size

    def claim(self, size: int) -> None:
        """Count an upload of `size` bytes, or raise StorageFullError and count nothing."""
        with self._lock:
            if self.quota is not None and self._used + size > self.quota:
                raise StorageFullError(
                    ErrorCode.QUOTA_REACHED,
                    f"{size} bytes exceed the quota of {self.quota} bytes (--quota), of which {self._used} are used. "
                    "Remove stored files, or raise the quota; then restart the receiver.",
                )
            self._leave_reserve(size)
            self._used += size

    def release(self, size: int) -> None:
        """Stop counting content that was dropped or removed."""
        with self._lock:
            self._used = max(0, self._used - size)

    @contextmanager
    def permit_write(self, size: int) -> Iterator[None]:
        """Permit a write of `size` bytes in the block.

        Raises StorageFullError if it would use the reserve.
        """
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
                f"{size} bytes would use the reserve of {self._reserve} bytes of disk space (--reserve): "
                f"{max(0, free)} bytes are free. Free space on the receiver's disk.",
            )
