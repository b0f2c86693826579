"""Stores the complete files of one API: a folder for each, with its bytes and plan.

The digest is the name of the folder, so identical content is stored once. It stays until the latest expiry of all its
uploads; no expiry means forever. The expiry never becomes earlier, whatever the order in which the uploads end.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from syncd.platform.files import sync_path
from syncd.receiver import file_io
from syncd.receiver.names import NamedLinks, has_link
from syncd.receiver.staging import Staging
from syncd.receiver.storage_limits import StorageLimits
from syncd.receiver.upload import Plan

log = structlog.get_logger()


class StoredFiles:
    """The stored files in `folder`. All methods block; `clock` returns epoch seconds.

    With `fsync`, a method returns only after its changes are on the disk.
    """

    def __init__(
        self,
        folder: str,
        staging: Staging,
        *,
        limits: StorageLimits,
        names: NamedLinks | None,
        fsync: bool,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._staging = staging
        self._limits = limits
        self._names = names
        self._fsync = fsync
        self._clock = clock
        self._lock = threading.RLock()  # held during a lookup or a rename, never while a file is read

    def recover(self) -> None:
        """Prepare the folder: create it if it is missing.

        With a quota, counts the stored files. With named links, adds those that are missing.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if self._limits.quota is not None:
            self._limits.add_existing(sum(map(self._size, os.listdir(self._folder))))
        if self._names is not None:
            self._names.prepare()
            for digest in os.listdir(self._folder):
                if not has_link(self.path(digest)) and (plan := self.find(digest)) is not None:
                    self._name(plan)

    def path(self, digest: str) -> str:
        """Return the path of a stored file's bytes."""
        return os.path.join(self._folder, digest, "data")

    def find(self, digest: str) -> Plan | None:
        """Return the plan of a stored file, or None; remove an expired or damaged file."""
        with self._lock:
            if not os.path.exists(os.path.join(self._folder, digest)):
                return None
            try:
                plan = Plan.load(file_io.read(self._plan_path(digest)))
                intact = os.stat(self.path(digest)).st_size == plan.size
            except (FileNotFoundError, ValueError, TypeError):
                intact = False
            if intact and (plan.expires is None or self._clock() < plan.expires):
                return plan
            if not intact:  # possible after a power cut without fsync
                log.warning("receiver.damaged", digest=digest)
            self._remove(digest)
            return None

    def renew(self, plan: Plan) -> Plan | None:
        """Extend a stored file's expiry to that of `plan`, and return its plan.

        Return None if the client must send the file. A client may delete its own copy once it knows that the file is
        stored, so the bytes are verified. The expiry is extended first: the file could expire during the verification.
        """
        stored = None if self._extend(plan) is None else self._find_verified(plan.digest)
        if stored is not None:
            self._name(plan)
        return stored

    def add(self, folder: str, plan: Plan) -> Plan:
        """Move the folder of a complete file here, and return its plan.

        If the same content was stored before, return its plan with the later of both expiries, and release the space
        that the caller has reserved.
        """
        if self._fsync:
            for name in ("data", "plan.json", "."):
                sync_path(os.path.join(folder, name))
        self._find_verified(plan.digest)
        stored = self._add(folder, plan)
        self._name(plan)
        return stored

    def _add(self, folder: str, plan: Plan) -> Plan:
        while True:
            if (stored := self._extend(plan)) is not None:
                self._staging.discard(folder)
                self._limits.release(plan.size)
                return stored
            with self._lock:
                if added := self.find(plan.digest) is None:
                    os.rename(folder, os.path.join(self._folder, plan.digest))
            if added:
                return self._clean_up_added(plan)

    def _name(self, plan: Plan) -> None:
        """Link the stored content of `plan` under the name from the client.

        Does nothing if the client gave no name.
        """
        name = plan.details.get("name")
        if self._names is not None and name:
            with self._lock:
                self._names.add(self.path(plan.digest), name=name, digest=plan.digest)
            self._names.flush()

    def _clean_up_added(self, plan: Plan) -> Plan:
        marks = os.path.join(self._folder, plan.digest, "arrived")
        if os.path.exists(marks):
            os.unlink(marks)
        if self._fsync:
            sync_path(self._folder)
        return plan

    def sweep(self) -> None:
        """Remove expired files."""
        for digest in os.listdir(self._folder):
            self.find(digest)

    def _extend(self, plan: Plan) -> Plan | None:
        """Give a stored file the later of both expiries, and return its plan, or None."""
        while (stored := self.find(plan.digest)) is not None:
            longer = stored.with_later_expiry_of(plan)
            try:
                if longer == stored or self._replace(stored, longer):
                    self._sync(plan.digest)  # the change of another request may not be on the disk yet
                    return longer
            except FileNotFoundError:  # it has just expired
                continue
        return None

    def _replace(self, stored: Plan, plan: Plan) -> bool:
        """Replace the plan `stored` of a file; return False if it has changed since."""
        path = self._staging.write(plan.dump())
        try:
            if self._fsync:
                sync_path(path)
            with self._lock:
                if unchanged := self.find(plan.digest) == stored:
                    os.replace(path, self._plan_path(plan.digest))
                return unchanged
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _sync(self, digest: str) -> None:
        if self._fsync:
            sync_path(os.path.join(self._folder, digest))
            sync_path(self._folder)

    def _find_verified(self, digest: str) -> Plan | None:
        """Return the plan of a stored file whose digest matches; remove a damaged file."""
        plan = self.find(digest)
        path = self.path(digest)
        try:
            before = _fingerprint(path)
            if plan is None or file_io.has_digest(path, digest):
                return plan
            with self._lock:
                if _fingerprint(path) == before:
                    log.warning("receiver.damaged", digest=digest)
                    self._remove(digest)
        except FileNotFoundError:  # it has just been removed
            pass
        return None

    def _plan_path(self, digest: str) -> str:
        return os.path.join(self._folder, digest, "plan.json")

    def _remove(self, digest: str) -> None:
        size = self._size(digest)
        if self._names is not None:
            self._names.remove(self.path(digest), name=self._name_of(digest), digest=digest)
        self._staging.discard(os.path.join(self._folder, digest))
        self._limits.release(size)

    def _name_of(self, digest: str) -> str | None:
        try:
            return Plan.load(file_io.read(self._plan_path(digest))).details.get("name")
        except (FileNotFoundError, ValueError, TypeError, AttributeError):  # a damaged plan
            return None

    def _size(self, digest: str) -> int:
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return 0


def _fingerprint(path: str) -> tuple[int, int, int]:
    """Return values that identify a file, and differ if another file gets its inode."""
    found = os.stat(path)
    return found.st_ino, found.st_ctime_ns, found.st_mtime_ns
