"""The progress of ``once``, ``verify`` and ``restore`` at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FileProgress:
    """A file being transferred.

    ``name`` is printable, ``label`` is the remote or the stage, and the sizes are in bytes.
    """

    name: str
    label: str
    size: int
    sent: int | None = None
    """Bytes transferred so far; None if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkProgress:
    """The progress of all files. A file counts once per remote; ``pending`` is in bytes."""

    done: int
    left: int
    failed: int
    pending: int
    per_second: float
    """Bytes per second over the last seconds."""
    scanning: bool = False
    files: Sequence[FileProgress] = ()
    """The files being transferred."""
