"""How much a receiver may store: a quota for all its content, and a part of the disk that it leaves free.

Content counts in full from the moment that its upload begins: what may begin can also end, and uploads at once can't
exceed the quota together. The disk is looked at then, and again before each write, as others use it too.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.receiver.errors import NoRoom, Refusal
from syncd.receiver.settings import GIB

_USUAL_SHARE = 20  # a twentieth of the disk is 5 %, what ext4 keeps for root


def usual_reserve(folder: str) -> int:
    """Return the bytes to leave free where nobody says: 1 GiB, or 5 % of the disk where that is less.

    `folder` is absolute, and may be still to be made. Raises OSError where there is no such disk.
    """
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return min(GIB, shutil.disk_usage(folder).total // _USUAL_SHARE)


class Space:
    """What the stores of both APIs share. Sizes in bytes; for any thread. `quota` None and `reserve` 0 are no limit."""

    def __init__(self, folder: str, *, quota: int | None, reserve: int) -> None:
        self.quota = quota
        self._folder = folder
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used = 0
        self._being_written = 0

    @property
    def used(self) -> int:
        """What is stored, and what the uploads under way will be."""
        return self._used

    def count(self, size: int) -> None:
        """Count content that an earlier process left, whatever the quota is now."""
        with self._lock:
            self._used += size

    def claim(self, size: int) -> None:
        """Count content that is about to be uploaded. Raises NoRoom, and counts nothing then."""
        with self._lock:
            if self.quota is not None and self._used + size > self.quota:
                raise NoRoom(
                    Refusal.QUOTA_REACHED,
                    f"This receiver stores {self.quota} bytes at most (--quota): with {self._used} bytes used there is "
                    f"no room for {size} more. Remove some, or raise the quota, and start it again.",
                )
            self._leave_reserve(size)
            self._used += size

    def release(self, size: int) -> None:
        """Count content no more, which was dropped or removed."""
        with self._lock:
            self._used = max(0, self._used - size)

    @contextmanager
    def writing(self, size: int) -> Iterator[None]:
        """Write this much while the context lasts. Raises NoRoom where that would use the reserve."""
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
        if disk.total and free - size < self._reserve:  # some network file systems tell nothing, which is all 0
            raise NoRoom(
                Refusal.STORAGE_FULL,
                f"This receiver leaves {self._reserve} bytes of its disk free (--reserve): with {max(0, free)} bytes "
                f"free there is no room for {size} more. Make room on that disk.",
            )
