"""Where a store puts folders together and takes them apart, so that each of its states begins or ends by one rename."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from syncd.receiver import disk
from syncd.receiver.errors import Fault
from syncd.receiver.upload import Plan


class Building:
    """The folder for what is in no state yet, or in none any more. All methods block."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def empty(self) -> None:
        """Remove what an earlier process left half done."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.makedirs(self._folder, mode=0o700)

    @contextmanager
    def begin(self, plan: Plan) -> Iterator[str]:
        """Begin a new folder; it does not stay when putting it together fails."""
        folder = self._new_path()
        os.mkdir(folder, 0o700)
        try:
            disk.create(os.path.join(folder, "plan.json"), plan.dump())
            yield folder
        except (OSError, Fault):
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def write(self, data: bytes) -> str:
        """Write a small file and return its path, for the caller to rename."""
        path = self._new_path()
        try:
            disk.create(path, data)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(path)
            raise
        return path

    def discard(self, folder: str) -> None:
        """Take a folder out of its state at once, then free its space."""
        trash = self._new_path()
        os.rename(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)

    def _new_path(self) -> str:
        return os.path.join(self._folder, uuid.uuid4().hex)
