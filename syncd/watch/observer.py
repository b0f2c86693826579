"""Events from the system, by watchdog, made into hints.

watchdog calls from a thread of its own. The hints wait behind a lock, each path once, and the event loop is woken
once for all that have gathered.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

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
from syncd.watch.coverage import Coverage
from syncd.watch.debounce import LIMIT
from syncd.watch.scanner import Tree

EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
"""What is subscribed to. Reading a file makes none of these, so the daemon does not wake itself."""
if sys.platform != "linux":  # elsewhere nothing tells of a close
    EVENTS.append(FileModifiedEvent)

MAX_LINKS = 64
"""Linked directories that are watched, at a thread each."""


@dataclass(kw_only=True, slots=True)
class Hints:
    """What events said since the last time somebody asked."""

    files: dict[str, Hint] = field(default_factory=dict)
    """What was told of the file at each path."""
    directories: set[str] = field(default_factory=set)
    """Directories that appeared, or went."""
    doubt: bool = False
    """Only a full scan tells what is there now."""
    overflow: bool = False
    """So because there were more events than anybody could take."""


class Doubt(Protocol):
    """Is called, from any thread, when events may have been lost."""

    def __call__(self, *, overflow: bool = False) -> None:
        """``overflow``: there were too many of them."""
        ...


class Mailbox:
    """Hands hints from watchdog's threads over to whoever ``wake`` wakes; it is called once until they are taken."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._hints = Hints()
        self._woken = False

    def file(self, path: str, hint: Hint) -> None:
        """Leave word that the file at ``path`` is new, changed or gone."""
        with self._lock:
            files = self._hints.files
            if hint.moved_from is not None:
                hint = hint.behind(files.get(hint.moved_from))
            files[path] = hint.after(files.get(path))
            if len(files) > LIMIT:
                self._hints = Hints(doubt=True, overflow=True)
        self._ring()

    def directory(self, path: str) -> None:
        """Leave word that a directory appeared or went."""
        with self._lock:
            self._hints.directories.add(path)
        self._ring()

    def doubt(self, *, overflow: bool = False) -> None:
        """Leave word that events may have been lost."""
        with self._lock:
            self._hints.doubt = True
            self._hints.overflow |= overflow
        self._ring()

    def take(self) -> Hints:
        """Return the hints and begin anew."""
        with self._lock:
            hints, self._hints, self._woken = self._hints, Hints(), False
        return hints

    def _ring(self) -> None:
        with self._lock:
            first, self._woken = not self._woken, True
        if first:
            self._wake()


class Handler(FileSystemEventHandler):
    """Sorts events by path. Runs in watchdog's thread, which an exception would end."""

    def __init__(self, tree: Tree, mailbox: Mailbox) -> None:
        self._tree = tree
        self._mailbox = mailbox
        self.linked: dict[str, ObservedWatch] = {}
        """The linked directories that are watched beside the tree."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """Turn an event into hints."""
        try:
            source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
            if target:  # the first, as what is known of the source is about to be over
                self._note(event, target, moved_from=self._tree.relative(source) if source else None)
            if source:
                self._note(event, source)
        except Exception:  # noqa: BLE001 - see above; what the event meant, a scan finds
            self._mailbox.doubt()

    def _note(self, event: FileSystemEvent, full: str, moved_from: str | None = None) -> None:
        path = self._tree.relative(full)
        if path is None:
            return
        if not path:
            self._mailbox.doubt()  # the folder itself went away
        elif event.is_directory or self._is_link(path, full):
            if self._tree.enters(path):
                self._mailbox.directory(path)
        elif self._tree.takes(path):
            self._mailbox.file(path, _hint(event, moved_from))
        elif sys.platform != "linux" and isinstance(event, FileDeletedEvent) and self._tree.enters(path):
            self._mailbox.directory(path)  # what is gone can't be asked what it was

    def _is_link(self, path: str, full: str) -> bool:
        """Say whether it is, or was, a link to a directory; for the system such a one is a file."""
        return self._tree.follow_symlinks and (path in self.linked or (os.path.islink(full) and os.path.isdir(full)))


def _hint(event: FileSystemEvent, moved_from: str | None) -> Hint:
    return Hint(
        # A file that was just created is most often being written; all else happens in one step.
        closed=not isinstance(event, FileCreatedEvent | FileModifiedEvent),
        told=isinstance(event, FileClosedEvent),
        same=isinstance(event, FileClosedEvent | FileModifiedEvent),
        moved_from=moved_from,
    )


class Observer:
    """Watches a tree, once. Its methods block while directories are gone through: call them in a thread.

    :meth:`stop` may be called at any time, even while :meth:`start` is still at work in another thread.
    """

    def __init__(self, tree: Tree, mailbox: Mailbox) -> None:
        self._tree = tree
        self._mailbox = mailbox
        self._handler = Handler(tree, mailbox)
        self._linked = self._handler.linked
        self._lock = threading.Lock()
        self._system: BaseObserver | None = None
        self._over = False

    def start(self) -> None:
        """Watch from now on; OSError, saying what to do, if that can't be."""
        with self._lock:
            if not self._over:
                self._system = _system(self._tree, self._mailbox)
                self._system.start()
                # The closing separator makes it the directory that is watched, where the folder itself is a link.
                self._schedule(self._system, os.path.join(self._tree.full(""), ""))

    def stop(self) -> None:
        """Watch no more."""
        with self._lock:
            self._over = True
            system, self._system = self._system, None
        if system is not None:
            system.stop()
            system.join()

    def alive(self) -> bool:
        """Say whether all threads are at work: the one that serves a folder ends when the folder goes away."""
        system = self._system
        return system is not None and system.is_alive() and all(each.is_alive() for each in system.emitters.copy())

    def trouble(self) -> str | None:
        """Say why some directories are not watched, and what to do about it; None if all of them are."""
        if len(self._linked) > MAX_LINKS:
            return f"more than {MAX_LINKS} linked directories"
        return getattr(self._system, "trouble", None)

    def coverage(self) -> Coverage | None:
        """Return which directories are watched now; None where the system does not tell."""
        ask: Callable[[], Coverage | None] = getattr(self._system, "coverage", lambda: None)
        return ask()

    def follow(self, links: Iterable[str]) -> bool:
        """Watch the linked directories ``links`` beside the tree, and no others; True if some are new."""
        wanted = set(links)
        with self._lock:
            if self._system is None:
                return False
            for link in self._linked.keys() - wanted:
                self._system.unschedule(self._linked.pop(link))
            new = wanted - self._linked.keys()
            for link in islice(sorted(new), MAX_LINKS + 1 - len(self._linked)):
                with suppress(OSError):  # gone again
                    # The closing separator makes it the directory that is watched, not the link.
                    self._linked[link] = self._schedule(self._system, self._tree.full(link) + os.sep)
        return bool(new)

    def _schedule(self, system: BaseObserver, path: str) -> ObservedWatch:
        return system.schedule(self._handler, path, recursive=self._tree.recursive, event_filter=EVENTS)


def _system(tree: Tree, mailbox: Mailbox) -> BaseObserver:
    """Return the platform's observer; OSError with what to do if it can't have another one."""
    if sys.platform == "win32":
        from syncd.watch.windows import WindowsObserver  # noqa: PLC0415 - there is no such thing elsewhere

        return WindowsObserver(doubt=mailbox.doubt)
    if sys.platform != "linux":
        return watchdog.observers.Observer()
    from syncd.watch.inotify import InotifyObserver  # noqa: PLC0415 - there is no such thing elsewhere

    def enters(full: str) -> bool:
        path = tree.relative(full)
        return path is None or tree.enters(path)

    return InotifyObserver(enters=enters, doubt=mailbox.doubt)
