"""What watchdog keeps to itself about changes on Windows: lost events, a dead reader, and events while there are more.

Windows only; nothing else may import this module.
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

from syncd.watch.observer import Doubt

assert sys.platform == "win32"


class Reader(DirectoryChangeReader):
    """Reads the changes of one folder, in a thread of its own."""

    def __init__(self, path: str, *, recursive: bool, doubt: Doubt) -> None:
        super().__init__(path, recursive=recursive)
        self._doubt = doubt
        self._failure: OSError | None = None

    def start(self) -> None:
        """Read from now on; OSError if the folder can't be opened."""
        try:
            super().start()
        except queue.Empty:
            raise OSError(errno.ETIMEDOUT, "the system does not tell of changes") from None
        if self._failure is not None:
            raise self._failure

    def get_events(self, timeout: float) -> list[WinAPINativeEvent]:
        """Return the changes that came in one piece, none after ``timeout`` seconds.

        watchdog's own goes on as long as there are more: on a folder that never rests, for ever.
        """
        try:
            piece, extended = self._buf_queue.get(timeout=timeout)
        except queue.Empty:
            return []
        if self._failure is not None:
            return [WinAPINativeEvent(FILE_ACTION_REMOVED_SELF, ".")]
        if not piece:  # as the system says that there were more than its buffer holds
            self._doubt(overflow=True)
            return []
        parse: Callable[[bytes], list[Any]] = _parse_extended_event_buffer if extended else _parse_event_buffer
        return _drop_case_only_rename_deletions([WinAPINativeEvent(*change) for change in parse(piece)])

    def _run(self) -> None:
        """Keep what ends the thread: who waits for events would never hear of it."""
        try:
            super()._run()
        except OSError as error:
            self._failure = error
            self._buf_queue.put((b"", False))


class Emitter(WindowsApiEmitter):
    """Makes events of changes."""

    def __init__(self, event_queue: EventQueue, watch: ObservedWatch, *, doubt: Doubt, **rest: Any) -> None:
        super().__init__(event_queue, watch, **rest)
        self._doubt = doubt

    def on_thread_start(self) -> None:
        """Start the reader."""
        with self._lock:
            reader = self._reader = Reader(self.watch.path, recursive=self.watch.is_recursive, doubt=self._doubt)
        reader.start()


class WindowsObserver(BaseObserver):
    """watchdog's observer with emitters of our own."""

    def __init__(self, *, doubt: Doubt) -> None:
        super().__init__(Emitter, doubt=doubt)
