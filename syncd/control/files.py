"""What can be asked about the local files behind the jobs: the part of the contract that is about bytes, not JSON."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypedDict

SVG = "image/svg+xml"
"""The one type that may hold a program: shown in an image element, where it can't run, and never as a page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What to show of a file. ``tag`` stands for its state; ``body`` is None where the asker has that already."""

    tag: str
    media_type: str
    body: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """An open file, for the asker to close; ``size`` in bytes. ``media_type`` is None unless browsers can show it."""

    file: BinaryIO
    size: int
    name: str
    media_type: str | None


class Dropped(TypedDict):
    """A file that was put into a folder: its absolute ``path``, fit for showing, and the ``name`` that it got."""

    path: str
    name: str


class Files(Protocol):
    """The watched folders' files. Every call may raise a :class:`~syncd.control.service.ApiError`."""

    async def preview(self, job: int, edge: int, known: Collection[str]) -> Preview:
        """Return a small picture of a job's file, ``edge`` pixels long at most, or its text.

        ``known`` are the tags of what the asker has. ``NotFoundError`` if there is no job, no file or no picture,
        ``BusyError`` if too many are asked for.
        """

    async def original(self, job: int) -> Original:
        """Open a job's file; ``NotFoundError`` if there is no job or no file."""

    async def drop(self, folder: str, name: str, size: int, content: AsyncIterator[bytes]) -> Dropped:
        """Put a file of ``size`` bytes into a watched folder, as ``name`` or, if that is taken, with a number.

        ``NotFoundError`` if the folder is not watched or not there, ``InvalidRequestError`` for a name that is not
        safe or that the folder does not take and for an empty file, ``TooLargeError``, ``DiskFullError``.
        """
