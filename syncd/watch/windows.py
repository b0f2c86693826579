"""Extends watchdog's Windows observer.

Reports lost events and failed readers, and returns events also while a folder keeps changing. Windows only:
:mod:`syncd.watch.observer` imports this module where it applies. It depends on private parts of watchdog 7.
"""

import errno
import queue
import sys
from collections.abc import Callable
from typing import Any

from watchdog.observers.api import BaseObserver, EventQueue, ObservedWatch
from watchdog.observers.read_directory_changes import WindowsApiEmitter
from watchdog.observers.winapi import (
    FILE_ACTION_REMOVED_SELF,
    DirectoryChangeReader,
    WinAPINativeEvent,
    _drop_case_only_rename_deletions,
    _parse_event_buffer,
    _parse_extended_event_buffer,
)

from syncd.watch.hints import OnEventsLost

assert sys.platform == "win32"


class Reader(DirectoryChangeReader):
    """Reads the changes of one folder in its own thread."""

    def __init__(self, path: str, *, recursive: bool, on_events_lost: OnEventsLost) -> None:
        super().__init__(path, recursive=recursive)
        self._on_events_lost = on_events_lost
        self._failure: OSError | None = None

    def start(self) -> None:
        """Start reading. Raise OSError if the folder cannot be opened."""
        try:
            super().start()
        except queue.Empty:
            raise OSError(errno.ETIMEDOUT, "the system does not report changes") from None
        if self._failure is not None:
            raise self._failure

    def get_events(self, timeout: float) -> list[WinAPINativeEvent]:
        """Return the changes of one buffer; none after ``timeout`` seconds.

        watchdog's own method collects until no more changes arrive: in a folder that always changes, forever.
        """
        try:
            buffer, extended = self._buf_queue.get(timeout=timeout)
        except queue.Empty:
            return []
        if self._failure is not None:
            return [WinAPINativeEvent(FILE_ACTION_REMOVED_SELF, ".")]
        if not buffer:  # an empty buffer: there were more changes than it holds
            self._on_events_lost(overflow=True)
            return []
        parse: Callable[[bytes], list[Any]] = _parse_extended_event_buffer if extended else _parse_event_buffer
        return _drop_case_only_rename_deletions([WinAPINativeEvent(*change) for change in parse(buffer)])

    def _run(self) -> None:
        """Record the error that ends this thread, for the thread that waits for events."""
        try:
            super()._run()
        except OSError as error:
            self._failure = error
            self._buf_queue.put((b"", False))


class Emitter(WindowsApiEmitter):
    """Turns changes into watchdog events."""

    def __init__(
        self, event_queue: EventQueue, watch: ObservedWatch, *, on_events_lost: OnEventsLost, **rest: Any
    ) -> None:
        super().__init__(event_queue, watch, **rest)
        self._on_events_lost = on_events_lost

    def on_thread_start(self) -> None:
        """Start the reader."""
        with self._lock:
            reader = self._reader = Reader(
                self.watch.path, recursive=self.watch.is_recursive, on_events_lost=self._on_events_lost
            )
        reader.start()


class WindowsObserver(BaseObserver):
    """watchdog's observer with the :class:`Emitter` of this module."""

    def __init__(self, *, on_events_lost: OnEventsLost) -> None:
        super().__init__(Emitter, on_events_lost=on_events_lost)
