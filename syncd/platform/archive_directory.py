"""Opens the directory that uploaded files are moved to.

The directory is created once, and refused later if another file system is mounted there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.platform import openat
from syncd.platform.file_info import file_system_id


class NotRemovedError(Exception):
    """A file was not removed; ``str()`` is the reason in a few words."""


class ArchiveDirectory:
    """The directory that files are moved to, as it was when the configuration was loaded.

    ``problem`` is the reason why nothing can be moved there, or None.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.created = False
        self.problem: str | None = None
        self._file_system = 0

    def create(self) -> None:
        """Create the directory if it is missing, and remember its file system."""
        try:
            os.makedirs(self.path, exist_ok=True)
            self._file_system = file_system_id(self.path)
        except OSError as error:
            self.problem = f"{self.path} can't be used: {error.strerror}"
        else:
            self.created, self.problem = True, None

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the directory and yield its descriptor.

        Raises :class:`NotRemovedError` if ``problem`` is set, or the directory is gone or on another file system.
        """
        if self.problem:
            raise NotRemovedError(self.problem)
        try:
            directory = openat.open_directory(self.path)
        except FileNotFoundError:
            raise NotRemovedError(f"{self.path} is gone: is its file system mounted?") from None
        try:
            if file_system_id(self.path, directory) != self._file_system:
                raise NotRemovedError(f"{self.path} is on another file system than before: is the right one mounted?")
            yield directory
        finally:
            os.close(directory)
