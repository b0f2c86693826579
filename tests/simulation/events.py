"""The system's events: late, twice, out of order, or lost.

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
class EventProperties:
    """The properties of events. ``silent`` is the fraction that is lost without a report."""

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
        self.latest_received = 0

    def start(self) -> None:
        """Watch all existing directories; OSError if there is no folder."""
        os.scandir(self._tree.root).close()
        self.watch(self._tree.root)
        self._events.observers.append(self)

    def stop(self) -> None:
        """Stop watching."""
        if self in self._events.observers:
            self._events.observers.remove(self)

    def is_alive(self) -> bool:
        """Return whether events arrive."""
        return self.sound

    def unwatched_reason(self) -> str | None:
        """Return None: all directories are watched."""
        return None

    def kernel_watches(self) -> None:
        """Return None: the watches are not reported."""

    def watch_links(self, links: Iterable[str]) -> bool:
        """Return False: linked directories are not simulated."""
        return False

    def rebuild(self) -> None:
        """Watch all existing directories, as watchdog does after lost events."""
        if os.path.isdir(self._tree.root):
            self.watch(self._tree.root)

    def watch(self, top: str) -> None:
        """Watch a directory and those below it."""
        for directory, _, _ in os.walk(top):
            self.watched.add(os.stat(directory).st_ino)


class Clock(Protocol):
    """The world's time, and its counts of operations and faults."""

    tally: Counter[str]

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Call ``do`` after ``seconds``."""


class Events:
    """Carries events from the file system to its observers."""

    def __init__(self, clock: Clock, properties: EventProperties, rng: random.Random) -> None:
        self.observers: list[Observer] = []
        self.properties = properties
        self.overflowing = False
        self._clock = clock
        self._rng = rng
        self._sent = 0

    def emit(self, *events: FileSystemEvent, within: str | None = None) -> None:
        """Send events to the observers; ``within`` is the directory, if it has moved away."""
        for observer in self.observers:
            for event in events:
                lost = self.overflowing or self._rng.random() < self.properties.silent
                if not _seen_by(observer, event, within):
                    continue
                if lost:
                    self._clock.tally[f"event lost {'in an overflow' if self.overflowing else 'without a word'}"] += 1
                    continue
                twice = self._rng.random() < self.properties.twice
                self._clock.tally["event delivered twice"] += twice
                for _ in range(1 + twice):
                    self._send(observer, event)

    def _send(self, observer: Observer, event: FileSystemEvent) -> None:
        latest = self.properties.latest
        delay = self._rng.uniform(0, latest) if self.properties.disordered else latest
        self._sent += 1
        number = self._sent

        def arrive() -> None:
            if observer not in self.observers:
                return
            self._clock.tally["event delivered"] += 1
            self._clock.tally["event late by half a second or more"] += delay >= LATE
            self._clock.tally["event delivered after a later one"] += number < observer.latest_received
            observer.latest_received = max(observer.latest_received, number)
            if isinstance(event, DirCreatedEvent | DirMovedEvent):
                observer.watch(os.fsdecode(event.dest_path or event.src_path))
            observer.handler.dispatch(event)

        self._clock.after(delay, arrive)

    def overflow(self, seconds: float) -> None:
        """Lose all events for a while, and report the loss at the end."""
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
            except FileNotFoundError:  # the directory is gone too
                return True
    return False
