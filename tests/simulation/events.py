"""The system's events, as bad as they come: late, twice, in another order, or not at all.

Stands in for :class:`syncd.watch.observer.Observer`; the handler that sorts events into hints is the real one.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from watchdog.events import DirCreatedEvent, DirMovedEvent, FileSystemEvent

from syncd.watch.hints import HintBuffer
from syncd.watch.observer import Handler
from syncd.watch.scanner import WatchedTree

LATE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Manners:
    """How events behave in a schedule. ``silent`` is the part that is lost without a word."""

    latest: float = 0.01
    twice: float = 0.0
    disordered: bool = False
    silent: float = 0.0


class Observer:
    """Watches directories, by their inodes, for one folder of one incarnation of the daemon."""

    def __init__(self, events: "Events", tree: WatchedTree, hints: HintBuffer) -> None:
        self._events = events
        self._tree = tree
        self.hints = hints
        self.handler = Handler(tree, hints)
        self.watched: set[int] = set()
        self.sound = True
        self.heard = 0

    def start(self) -> None:
        """Watch all directories that are there; OSError if there is no folder."""
        os.scandir(self._tree.root).close()
        self.watch(self._tree.root)
        self._events.observers.append(self)

    def stop(self) -> None:
        """Watch no more."""
        if self in self._events.observers:
            self._events.observers.remove(self)

    def is_alive(self) -> bool:
        """Say whether events get through."""
        return self.sound

    def unwatched_reason(self) -> str | None:
        """Say that all directories could be watched."""
        return None

    def coverage(self) -> None:
        """Tell nothing of what is watched."""

    def watch_links(self, links: Iterable[str]) -> bool:
        """Linked directories are no part of this."""
        return False

    def rebuild(self) -> None:
        """Watch what is there now, as watchdog does when it learns that events were lost."""
        if os.path.isdir(self._tree.root):
            self.watch(self._tree.root)

    def watch(self, top: str) -> None:
        """Watch a directory and those below it."""
        for directory, _, _ in os.walk(top):
            self.watched.add(os.stat(directory).st_ino)


class Clock(Protocol):
    """The world's time, and its count of what happened."""

    tally: Counter[str]

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something later."""


class Events:
    """Carries events from the file system to whoever observes it."""

    def __init__(self, clock: Clock, manners: Manners, rng: random.Random) -> None:
        self.observers: list[Observer] = []
        self.manners = manners
        self.overflowing = False
        self._clock = clock
        self._rng = rng
        self._sent = 0

    def emit(self, *events: FileSystemEvent, within: str | None = None) -> None:
        """Tell of a change, in the way that this schedule has; ``within`` is the directory, if it is elsewhere now."""
        for observer in self.observers:
            for event in events:
                lost = self.overflowing or self._rng.random() < self.manners.silent
                if not _seen_by(observer, event, within):
                    continue
                if lost:
                    self._clock.tally[f"event lost {'in an overflow' if self.overflowing else 'without a word'}"] += 1
                    continue
                twice = self._rng.random() < self.manners.twice
                self._clock.tally["event delivered twice"] += twice
                for _ in range(1 + twice):
                    self._send(observer, event)

    def _send(self, observer: Observer, event: FileSystemEvent) -> None:
        latest = self.manners.latest
        delay = self._rng.uniform(0, latest) if self.manners.disordered else latest
        self._sent += 1
        number = self._sent

        def arrive() -> None:
            if observer not in self.observers:
                return
            self._clock.tally["event delivered"] += 1
            self._clock.tally["event late by half a second or more"] += delay >= LATE
            self._clock.tally["event delivered after a later one"] += number < observer.heard
            observer.heard = max(observer.heard, number)
            if isinstance(event, DirCreatedEvent | DirMovedEvent):
                observer.watch(os.fsdecode(event.dest_path or event.src_path))
            observer.handler.dispatch(event)

        self._clock.after(delay, arrive)

    def overflow(self, seconds: float) -> None:
        """Lose all events for a while, and say so at the end."""
        self.overflowing = True

        def end() -> None:
            self.overflowing = False
            for observer in self.observers:
                observer.rebuild()
                observer.hints.events_lost(overflow=True)

        self._clock.after(seconds, end)

    def unmounted(self) -> None:
        """End all watches, as an unmount does."""
        for observer in self.observers:
            observer.sound = False


def _seen_by(observer: Observer, event: FileSystemEvent, within: str | None) -> bool:
    for path in (event.src_path, event.dest_path):
        if path:
            try:
                if os.stat(within or os.path.dirname(os.fsdecode(path))).st_ino in observer.watched:
                    return True
            except FileNotFoundError:  # it went with its directory
                return True
    return False
