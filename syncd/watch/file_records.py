"""Defines the interface to the records of files, which the watch compares and updates.

The daemon implements it with the job store: :mod:`syncd.store.files` records the files and recognises renames.
"""

from collections.abc import Sequence
from typing import Protocol

from syncd.core.model import FoundFile
from syncd.watch.recorded_files import Page


class FileRecords(Protocol):
    """The recorded files of each folder. Paths are relative, as in :class:`FoundFile`.

    After any exception the watch logs the failure and reports the same files again later.
    """

    async def diff(self, folder: str, seen: Sequence[FoundFile]) -> list[FoundFile]:
        """Return the files in ``seen`` that are new or differ from the record.

        Changes nothing; :meth:`observe` records them.
        """
        ...

    async def observe(self, folder: str, seen: Sequence[FoundFile]) -> None:
        """Record quiet files that are new, have changed or exist again.

        Records all of them, or none if it raises an exception.
        """
        ...

    async def page(self, folder: str, after: bytes, limit: int) -> Page:
        """Return up to ``limit`` recorded present files whose paths follow ``after``.

        The paths are in the order of their bytes. A file has no stamp if :meth:`diff` would return it even though it is
        unchanged.
        """
        ...

    async def mark_files_gone(self, folder: str, paths: Sequence[str]) -> None:
        """Record that these files no longer exist. Paths without a record are ignored."""
        ...

    async def paths(self, folder: str, after: str | None, limit: int) -> list[str]:
        """Return up to ``limit`` recorded paths of present files that follow ``after``.

        They are in the order of their bytes.
        """
        ...
