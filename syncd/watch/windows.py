"""What watchdog keeps to itself about Windows' events: that some were lost, and that none will come any more."""

import errno
import queue
import sys
from collections.abc import Callable
from ctypes import Array, c_char
from ctypes.wintypes import DWORD, HANDLE
from typing import Any, Protocol

from watchdog.observers.api import BaseObserver
from watchdog.observers.read_directory_changes import WindowsApiEmitter
from watchdog.observers.winapi import DirectoryChangeReader

assert sys.platform == "win32"


class Doubt(Protocol):
    """Is called, from any thread, when events may have been lost."""

    def __call__(self, *, overflow: bool = False) -> None:
        """``overflow``: there were too many of them."""
        ...


class Reader(DirectoryChangeReader):
    """Reads a folder's events in a thread. ``lost`` is called there when the system gives none any more."""

    def __init__(self, path: str, *, recursive: bool, doubt: Doubt, lost: Callable[[], None]) -> None:
        super().__init__(path, recursive=recursive)
        self._doubt = doubt
        self._lost = lost

    def _run(self) -> None:
        try:
            super()._run()
        except OSError:  # the folder, or the share that it is on, has gone away
            self._lost()

    def _run_inner(self, handle: HANDLE, event_buffer: "Array[c_char]", nbytes: DWORD) -> None:
        super()._run_inner(handle, event_buffer, nbytes)
        if not nbytes.value and not self._should_stop:  # more has happened than the buffer can take
            self._doubt(overflow=True)


class _Emitter(WindowsApiEmitter):
    """Makes events of what the reader has; ends with it."""

    def __init__(self, *arguments: Any, doubt: Doubt, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._doubt = doubt

    def on_thread_start(self) -> None:
        """Begin to read; OSError if the folder can't be watched."""
        with self._lock:
            self._reader = Reader(self.watch.path, recursive=self.watch.is_recursive, doubt=self._doubt, lost=self.stop)
        try:
            self._reader.start()
        except queue.Empty:
            raise OSError(errno.ENOENT, "it can't be watched", self.watch.path) from None


class WindowsObserver(BaseObserver):
    """watchdog's observer, which says when events may have been lost."""

    def __init__(self, *, doubt: Doubt) -> None:
        super().__init__(_Emitter, doubt=doubt)
