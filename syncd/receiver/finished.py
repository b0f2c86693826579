"""The whole files of one API: each in a folder that is named by its digest, with its bytes and its plan.

The content is there once, however many uploads brought it, and stays until the latest expiry that any of them asked
for; none means forever. An expiry is never made earlier, in whatever order the uploads end.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from syncd.receiver import disk
from syncd.receiver.building import Building
from syncd.receiver.space import Space
from syncd.receiver.upload import Plan

log = structlog.get_logger()


class Finished:
    """The stored files in `folder`. All methods block; `clock` gives epoch seconds.

    With `fsync`, what a method returns is on the disk and not only in the kernel.
    """

    def __init__(
        self, folder: str, building: Building, *, space: Space, fsync: bool, clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._building = building
        self._space = space
        self._fsync = fsync
        self._clock = clock
        self._lock = threading.RLock()  # held for a look-up or a rename, never for a file's bytes

    def recover(self) -> None:
        """Make the folder where it is not there yet, and count what is in it where there is a quota."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if self._space.quota is not None:
            self._space.count(sum(map(self._size, os.listdir(self._folder))))

    def path(self, digest: str) -> str:
        """Tell where the bytes of a stored file are."""
        return os.path.join(self._folder, digest, "data")

    def find(self, digest: str) -> Plan | None:
        """Return the plan of a stored file; None when there is none. One that has expired is removed."""
        with self._lock:
            if not os.path.exists(os.path.join(self._folder, digest)):
                return None
            try:
                plan = Plan.load(disk.read(self._plan_path(digest)))
                whole = os.stat(self.path(digest)).st_size == plan.size
            except (FileNotFoundError, ValueError, TypeError):
                whole = False
            if whole and (plan.expires is None or self._clock() < plan.expires):
                return plan
            if not whole:  # a power cut can leave that when fsync is off
                log.warning("receiver.damaged", digest=digest)
            self._remove(digest)
            return None

    def renew(self, plan: Plan) -> Plan | None:
        """Have a stored file stay until `plan` expires too, and return its plan; None when it has to be sent.

        Who hears that a file is here sends it no more and may delete it. So the expiry is extended before the bytes
        are read, which may take longer than the file had left, and nothing is said of bytes that are damaged.
        """
        return None if self._extend(plan) is None else self._sound(plan.digest)

    def place(self, folder: str, plan: Plan) -> Plan:
        """Move a whole file's folder here; return the plan that is stored then, which a file that was here keeps.

        Its bytes have been counted, and count no more where they were here.
        """
        if self._fsync:
            for name in ("data", "plan.json", "."):
                disk.sync(os.path.join(folder, name))
        self._sound(plan.digest)
        while True:
            if (stored := self._extend(plan)) is not None:
                self._building.discard(folder)
                self._space.release(plan.size)
                return stored
            with self._lock:
                if placed := self.find(plan.digest) is None:
                    os.rename(folder, os.path.join(self._folder, plan.digest))
            if placed:
                return self._placed(plan)

    def _placed(self, plan: Plan) -> Plan:
        marks = os.path.join(self._folder, plan.digest, "arrived")
        if os.path.exists(marks):
            os.unlink(marks)
        if self._fsync:
            disk.sync(self._folder)
        return plan

    def sweep(self) -> None:
        """Remove what has expired."""
        for digest in os.listdir(self._folder):
            self.find(digest)

    def _extend(self, plan: Plan) -> Plan | None:
        """Give a stored file the later of both expiries; return its plan, None when there is no such file."""
        while (stored := self.find(plan.digest)) is not None:
            longer = stored.with_later_expiry_of(plan)
            try:
                if longer == stored or self._replace(stored, longer):
                    self._sync(plan.digest)  # what another request has just done may not be on the disk yet
                    return longer
            except FileNotFoundError:  # it has expired meanwhile
                continue
        return None

    def _replace(self, stored: Plan, plan: Plan) -> bool:
        """Write another plan for a stored file; False when the stored one is not `stored` any more."""
        path = self._building.write(plan.dump())
        try:
            if self._fsync:
                disk.sync(path)
            with self._lock:
                if unchanged := self.find(plan.digest) == stored:
                    os.replace(path, self._plan_path(plan.digest))
                return unchanged
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _sync(self, digest: str) -> None:
        if self._fsync:
            disk.sync(os.path.join(self._folder, digest))
            disk.sync(self._folder)

    def _sound(self, digest: str) -> Plan | None:
        """Return the plan of a stored file whose bytes are right; a damaged one is removed."""
        plan = self.find(digest)
        path = self.path(digest)
        try:
            read = _stamp(path)
            if plan is None or disk.has_digest(path, digest):
                return plan
            with self._lock:
                if _stamp(path) == read:
                    log.warning("receiver.damaged", digest=digest)
                    self._remove(digest)
        except FileNotFoundError:  # it went meanwhile
            pass
        return None

    def _plan_path(self, digest: str) -> str:
        return os.path.join(self._folder, digest, "plan.json")

    def _remove(self, digest: str) -> None:
        size = self._size(digest)
        self._building.discard(os.path.join(self._folder, digest))
        self._space.release(size)

    def _size(self, digest: str) -> int:
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return 0


def _stamp(path: str) -> tuple[int, int, int]:
    """Tell a file from one that takes its place, which may get the same inode."""
    found = os.stat(path)
    return found.st_ino, found.st_ctime_ns, found.st_mtime_ns
