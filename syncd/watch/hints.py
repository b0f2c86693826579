"""Collects the hints of a folder's events until the event loop drains them.

The observer adds hints from watchdog's threads. The buffer keeps one hint for each path, however many events name
that path, and notifies the event loop at once of a hint after a quiet time. While further hints keep arriving, it
notifies less and less often. :class:`syncd.watch.folder.FolderWatch` drains the buffer.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from syncd.core.settle import Hint

MAX_PENDING_FILES = 50_000
"""Files of one folder that may wait at a time; further hints are dropped, and a full scan finds those files."""
MIN_NOTIFY_INTERVAL_SECONDS, MAX_NOTIFY_INTERVAL_SECONDS = 0.002, 0.05
"""First and longest time between two notifications while hints keep arriving; each interval doubles the last.

In a burst, a notification for each hint would cost too much.
"""


@dataclass(kw_only=True, slots=True)
class Hints:
    """The hints that arrived since the buffer was last drained."""

    files: dict[str, Hint] = field(default_factory=dict)
    """Relative path of each file that an event named, with what the events said about the file."""
    directories: set[str] = field(default_factory=set)
    """Directories that appeared or disappeared."""
    rescan_needed: bool = False
    """Events were lost: only a full scan finds what changed."""
    overflow: bool = False
    """Events were lost because there were too many of them."""


class OnEventsLost(Protocol):
    """Callback for lost events; any thread may call it."""

    def __call__(self, *, overflow: bool = False) -> None:
        """Request a full scan. ``overflow``: there were more events than the system's queue holds."""
        ...


class HintBuffer:
    """Passes hints from other threads to the event loop.

    The loop calls ``on_hints``, which calls :meth:`drain`.
    """

    def __init__(self, on_hints: Callable[[], None]) -> None:
        self._on_hints = on_hints
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._hints = Hints()
        self._notified = False
        self._notified_at = 0.0  # loop time; this and the interval are used in the loop's thread only
        self._interval = 0.0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call ``on_hints`` in ``loop`` from now on; before that, hints only collect."""
        self._loop = loop

    def add_file(self, path: str, hint: Hint) -> None:
        """Add a hint that the file at ``path`` is new, changed or gone."""
        with self._lock:
            files = self._hints.files
            if hint.moved_from is not None:
                hint = hint.trace_back(files.get(hint.moved_from))
            files[path] = hint.merge(files.get(path))
            if len(files) > MAX_PENDING_FILES:
                self._hints = Hints(rescan_needed=True, overflow=True)
        self._notify()

    def add_directory(self, path: str) -> None:
        """Add a hint that the directory at ``path`` appeared or disappeared."""
        with self._lock:
            self._hints.directories.add(path)
        self._notify()

    def events_lost(self, *, overflow: bool = False) -> None:
        """Request a full scan, as an :class:`OnEventsLost`."""
        with self._lock:
            self._hints.rescan_needed = True
            self._hints.overflow |= overflow
        self._notify()

    def drain(self) -> Hints:
        """Return all hints and empty the buffer."""
        with self._lock:
            hints, self._hints, self._notified = self._hints, Hints(), False
        return hints

    def _notify(self) -> None:
        with self._lock:
            first, self._notified = not self._notified, True
        if first and self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the daemon is shutting down
                self._loop.call_soon_threadsafe(self._schedule, self._loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call ``on_hints`` now, or when the interval since the last call is over."""
        now = loop.time()
        if now - self._notified_at >= MAX_NOTIFY_INTERVAL_SECONDS:
            self._interval = 0.0
        self._notified_at = max(now, self._notified_at + self._interval)
        self._interval = min(max(2 * self._interval, MIN_NOTIFY_INTERVAL_SECONDS), MAX_NOTIFY_INTERVAL_SECONDS)
        loop.call_at(self._notified_at, self._on_hints)
