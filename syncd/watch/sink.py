"""Where the watch hands over what it found. The daemon puts the job store behind it."""

from collections.abc import Sequence
from typing import Protocol

from syncd.core.model import FoundFile


class Sink(Protocol):
    """The memory of what is known about each folder. Paths are relative, as in :class:`FoundFile`.

    Any exception means "not taken": the watch logs it and hands the same over again later.
    """

    async def diff(self, folder: str, seen: Sequence[FoundFile]) -> list[FoundFile]:
        """Return those of ``seen`` that are new or differ from what is known: they need :meth:`observe`."""
        ...

    async def observe(self, folder: str, seen: FoundFile) -> None:
        """Take note of a quiet file that is new, has changed or is back."""
        ...

    async def gone(self, folder: str, paths: Sequence[str]) -> None:
        """Take note of files that are no longer there. Unknown paths are fine."""
        ...

    async def paths(self, folder: str, after: str | None, limit: int) -> list[str]:
        """Return up to ``limit`` known paths that are not gone, in an order of their bytes, following ``after``."""
        ...
