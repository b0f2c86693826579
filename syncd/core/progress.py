"""The progress of a command at one moment, as ``once``, ``verify`` and ``restore`` report it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FileProgress:
    """A file being transferred: printable ``name``, ``label`` (a remote or a stage), and sizes in bytes."""

    name: str
    label: str
    size: int
    sent: int | None = None
    """Bytes transferred so far; None if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkProgress:
    """Numbers of files, counted once per remote, and ``pending`` bytes still to be transferred."""

    done: int
    left: int
    failed: int
    pending: int
    per_second: float
    """Bytes per second, recently."""
    scanning: bool = False
    files: Sequence[FileProgress] = ()
    """The files being transferred."""
