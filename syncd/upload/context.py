"""What the daemon gives to the engine: the store, the time, chance, and what only the configuration knows."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncd.upload.job_queue import JobQueue


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a lane is given by the daemon. ``clock`` is the wall clock, in seconds since the epoch."""

    store: JobQueue
    owner: str
    clock: Callable[[], float]
    check_clock: Callable[[], Awaitable[None]]
    """Called before each look at the queue: somebody may have set the clock."""
    random: Callable[[], float]
    doubt: Callable[[str, str], None]
    """Told (folder, path) when a file is not what the store thinks: the watch looks again."""
    settle: Callable[[str], float]
    """The settle time of a folder, in seconds."""
    follow_symlinks: Callable[[str], bool]
    unfit: Callable[[str, int], str | None]
    """Says why a file of so many bytes is not to be uploaded from a folder, if it is not."""
    takes: Callable[[str, str], bool] = lambda _folder, _path: True
    """Says whether a folder still selects a path by its patterns."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
