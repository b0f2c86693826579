"""Watches a folder with watchdog and turns the events into hints.

:class:`Handler` runs in watchdog's threads and adds to the :class:`syncd.watch.hints.HintBuffer`. :class:`Observer`
starts and stops the platform's observer: :mod:`syncd.watch.inotify`, :mod:`syncd.watch.windows` or watchdog's own.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

import watchdog.observers
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch

from syncd.core.settle import Hint
from syncd.watch.hints import HintBuffer
from syncd.watch.kernel_watches import KernelWatches
from syncd.watch.scanner import WatchedTree

EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""The subscribed events. Reading a file causes none of these, so the daemon does not wake itself."""
if sys.platform != "linux":  # other systems report no close events
    EVENTS.append(FileModifiedEvent)

MAX_WATCHED_LINKS = 64
"""Linked directories that may be watched; each takes a thread."""


class Handler(FileSystemEventHandler):
    """Turns watchdog's events into hints.

    Runs in watchdog's thread, which an exception would end.
    """

    def __init__(self, tree: WatchedTree, hints: HintBuffer) -> None:
        self._tree = tree
        self._hints = hints
        self.linked: dict[str, ObservedWatch] = {}
        """The linked directories that are watched in addition to the tree."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """Turn an event into hints; an event that cannot be read counts as lost."""
        try:
            source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
            if target:  # before the source: the buffer still knows what the source was renamed from
                self._add(event, target, moved_from=self._tree.relative(source) if source else None)
            if source:
                self._add(event, source)
        except Exception:  # noqa: BLE001 - an exception would end watchdog's thread; a full scan finds the change
            self._hints.events_lost()

    def _add(self, event: FileSystemEvent, absolute: str, moved_from: str | None = None) -> None:
        path = self._tree.relative(absolute)
        if path is None:
            return
        if not path:
            self._hints.events_lost()  # the folder itself disappeared
        elif event.is_directory or self._is_directory_link(path, absolute):
            if self._tree.descends_into(path):
                self._hints.add_directory(path)
        elif self._tree.matches(path):
            self._hints.add_file(path, _hint(event, moved_from))
        elif sys.platform != "linux" and isinstance(event, FileDeletedEvent) and self._tree.descends_into(path):
            self._hints.add_directory(path)  # the deleted path may have been a directory

    def _is_directory_link(self, path: str, absolute: str) -> bool:
        """Return whether ``path`` is or was a link to a directory.

        The system reports such a link as a file.
        """
        return self._tree.follow_symlinks and (
            path in self.linked or (os.path.islink(absolute) and os.path.isdir(absolute))
        )


def _hint(event: FileSystemEvent, moved_from: str | None) -> Hint:
    return Hint(
        # A file that was just created is usually still being written; every other change is complete at once.
        closed=not isinstance(event, FileCreatedEvent | FileModifiedEvent),
        close_event=isinstance(event, FileClosedEvent),
        same_file=isinstance(event, FileClosedEvent | FileModifiedEvent),
        moved_from=moved_from,
    )


class Observer:
    """Watches a tree; each observer starts once.

    Its methods block while they walk directories: call them in a thread.

    :meth:`stop` may be called at any time, even while :meth:`start` runs in another thread.
    """

    def __init__(self, tree: WatchedTree, hints: HintBuffer) -> None:
        self._tree = tree
        self._hints = hints
        self._handler = Handler(tree, hints)
        self._linked = self._handler.linked
        self._lock = threading.Lock()
        self._system: BaseObserver | None = None
        self._stopped = False

    def start(self) -> None:
        """Start watching. Raise OSError with advice if the system refuses."""
        with self._lock:
            if not self._stopped:
                self._system = _platform_observer(self._tree, self._hints)
                self._system.start()
                # The trailing separator makes the directory the watch's target if the folder itself is a link.
                self._schedule(self._system, os.path.join(self._tree.absolute(""), ""))

    def stop(self) -> None:
        """Stop watching."""
        with self._lock:
            self._stopped = True
            system, self._system = self._system, None
        if system is not None:
            system.stop()
            system.join()

    def is_alive(self) -> bool:
        """Return whether all threads run; the thread of a folder ends when the folder disappears."""
        system = self._system
        return system is not None and system.is_alive() and all(each.is_alive() for each in system.emitters.copy())

    def unwatched_reason(self) -> str | None:
        """Return why some directories are not watched, and how to change that; None if all are."""
        if len(self._linked) > MAX_WATCHED_LINKS:
            return f"more than {MAX_WATCHED_LINKS} linked directories"
        return getattr(self._system, "unwatched_reason", None)

    def kernel_watches(self) -> KernelWatches | None:
        """Return which directories are watched now; None if the system does not report it."""
        read: Callable[[], KernelWatches | None] = getattr(self._system, "kernel_watches", lambda: None)
        return read()

    def watch_links(self, links: Iterable[str]) -> bool:
        """Watch exactly these linked directories in addition to the tree.

        Return True if some are new.
        """
        wanted = set(links)
        with self._lock:
            if self._system is None:
                return False
            for link in self._linked.keys() - wanted:
                self._system.unschedule(self._linked.pop(link))
            new = wanted - self._linked.keys()
            for link in islice(sorted(new), MAX_WATCHED_LINKS + 1 - len(self._linked)):
                with suppress(OSError):  # the link is gone again
                    # The trailing separator makes the directory the watch's target, not the link.
                    self._linked[link] = self._schedule(self._system, self._tree.absolute(link) + os.sep)
        return bool(new)

    def _schedule(self, system: BaseObserver, path: str) -> ObservedWatch:
        return system.schedule(self._handler, path, recursive=self._tree.recursive, event_filter=EVENTS)


def _platform_observer(tree: WatchedTree, hints: HintBuffer) -> BaseObserver:
    """Create the platform's observer.

    Raise OSError with advice if the system grants no further one.
    """
    if sys.platform == "win32":
        from syncd.watch.windows import WindowsObserver  # noqa: PLC0415 - the module exists for Windows only

        return WindowsObserver(on_events_lost=hints.events_lost)
    if sys.platform != "linux":
        return watchdog.observers.Observer()
    from syncd.watch.inotify import InotifyObserver  # noqa: PLC0415 - the module exists for Linux only

    def descends_into(absolute: str) -> bool:
        path = tree.relative(absolute)
        return path is None or tree.descends_into(path)

    return InotifyObserver(descends_into=descends_into, on_events_lost=hints.events_lost)
