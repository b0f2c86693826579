"""What watchdog keeps to itself about inotify: lost events, a used-up limit, directories better left alone.

Linux only; nothing else may import this module.
"""

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from syncd.watch.coverage import Coverage
from syncd.watch.observer import Doubt

_LIMITS = Path("/proc/sys/fs/inotify")
# What watchdog warns of is dealt with here; it need not reach standard error by itself.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class Inotify(InotifyFD):
    """The kernel's queue of events for one folder.

    ``enters`` decides by the absolute path which directories are watched.
    """

    def __init__(self, *, enters: Callable[[str], bool], doubt: Doubt) -> None:
        super().__init__()
        self._enters = enters
        self._doubt = doubt
        self.unmounted = False
        """A file system with watched directories was unmounted; a new one in its place is not watched."""
        self.exhausted = False
        """The kernel refused a watch because the limit is reached: there are directories that nobody watches."""

    @property
    def descriptor(self) -> int:
        """The kernel's queue."""
        return self._inotify_fd

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Watch one directory; for watchdog an OSError means that there is nothing to watch."""
        name = os.fsdecode(path)
        # Refused with EACCES, watchdog would file the directory under the descriptor -1.
        if not self._enters(name) or not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == errno.ENOSPC and not self.exhausted:
                self.exhausted = True
                self._doubt()
            raise

    def handle_event(self, event: InotifyEvent) -> None:
        """Pass an event on, and say so if it tells that others were lost."""
        super().handle_event(event)
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self.unmounted = True
            self._doubt()
        elif event.is_queue_overflow:
            self._doubt(overflow=True)

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        # As in watchdog, but a directory that is met a second time, as new ones often are, is not worth a warning.
        watch = self._get_or_create_watch(path, mask)
        watch.callbacks[id_] = callback
        return watch.wd


class InotifyObserver(BaseObserver):
    """watchdog's observer on a queue of our own; OSError with what to do if the kernel grants none."""

    def __init__(self, *, enters: Callable[[str], bool], doubt: Doubt) -> None:
        try:
            self._queue = Inotify(enters=enters, doubt=doubt)
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise OSError(errno.EMFILE, _advice("max_user_instances")) from None
            raise
        super().__init__(InotifyEmitter, inotify_fd=self._queue)

    def on_thread_start(self) -> None:
        """Start the queue, then the emitters."""
        self._queue.start()
        super().on_thread_start()

    def on_thread_stop(self) -> None:
        """Stop the emitters, then the queue."""
        super().on_thread_stop()
        self._queue.stop()
        self._queue.join()

    def is_alive(self) -> bool:
        """Say whether events get through."""
        return super().is_alive() and self._queue.is_alive() and not self._queue.unmounted

    def coverage(self) -> Coverage | None:
        """Return which directories are watched now; None where the kernel does not tell."""
        with suppress(OSError):
            return Coverage(self._queue.descriptor)
        return None

    @property
    def trouble(self) -> str | None:
        """Why some directories are not watched, and what to do about it."""
        return _advice("max_user_watches") if self._queue.exhausted else None


def _advice(name: str) -> str:
    try:
        limit = int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return f"fs.inotify.{name} is too low"
    return f"all {limit} of fs.inotify.{name} are in use; raise it with: sudo sysctl fs.inotify.{name}={2 * limit}"
