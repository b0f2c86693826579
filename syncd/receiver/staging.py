"""Creates and deletes a store's folders in a staging folder.

A complete folder then moves to its place with one rename, which a killed process cannot leave half done.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from syncd.receiver import file_io
from syncd.receiver.errors import ReceiverError
from syncd.receiver.upload import Plan


class Staging:
    """The staging folder. All methods block."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def empty(self) -> None:
        """Remove what an earlier process left unfinished."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.makedirs(self._folder, mode=0o700)

    @contextmanager
    def begin(self, plan: Plan) -> Iterator[str]:
        """Yield a new folder that holds the plan; remove the folder if the block fails."""
        folder = self._new_path()
        os.mkdir(folder, 0o700)
        try:
            file_io.create(os.path.join(folder, "plan.json"), plan.dump())
            yield folder
        except (OSError, ReceiverError):
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def write(self, data: bytes) -> str:
        """Write a small file, and return its path for the caller to rename."""
        path = self._new_path()
        try:
            file_io.create(path, data)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(path)
            raise
        return path

    def discard(self, folder: str) -> None:
        """Move a folder into the staging folder, then delete it."""
        trash = self._new_path()
        os.rename(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)

    def _new_path(self) -> str:
        return os.path.join(self._folder, uuid.uuid4().hex)
