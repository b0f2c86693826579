"""The dependencies of the workers: store, clock, randomness, and the rules of the folders."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from syncd.upload.job_queue import JobQueue
from syncd.upload.source import FileOpener


@dataclass(frozen=True, kw_only=True)
class FolderPolicy:
    """The rules of one watched folder; the defaults are for a folder no longer watched."""

    other_remotes: int = 0
    """The number of remotes of the folder, without one."""
    settle_seconds: float = 2.0
    """Time that a file must stay unchanged before it is uploaded."""
    follow_symlinks: bool = False
    unfit: Callable[[int], str | None] = lambda _size: None
    """Returns the reason why a file of this size in bytes must not be uploaded, or None."""
    selects: Callable[[str], bool] = lambda _path: True
    """Returns whether the folder's patterns select this path."""
    is_present: Callable[[], bool] = lambda: True
    """Returns whether the folder is the one in which its files were found; blocks."""
    recheck: Callable[[str], None] = lambda _path: None
    """Asks the watch to check this path again, because the file differs from the store's record."""


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """The dependencies that all workers share.

    ``clock`` is the wall clock, in seconds since the epoch. ``random`` returns a number from 0 to 1, without 1.
    """

    store: JobQueue
    owner: str
    """The name under which this process leases jobs."""
    clock: Callable[[], float]
    check_clock: Callable[[], Awaitable[None]]
    """Called before each poll of the queue, to detect that the wall clock was set back."""
    random: Callable[[], float]
    folder_policy: Callable[[str], FolderPolicy]
    """Returns the current rules of a folder; a reload may change them."""
    opener: FileOpener = field(default_factory=FileOpener)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
