"""Extends watchdog's inotify observer.

Reports lost events and a reached limit, and skips excluded directories. Linux only: :mod:`syncd.watch.observer` imports
this module where it applies. It depends on private parts of watchdog 7.
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

from syncd.watch.hints import OnEventsLost
from syncd.watch.kernel_watches import KernelWatches

_LIMITS = Path("/proc/sys/fs/inotify")
# This module handles the problems that watchdog warns about, so the warnings need not reach standard error.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class Inotify(InotifyFD):
    """The kernel's event queue for one folder.

    ``descends_into`` decides by the absolute path which directories are watched.
    """

    def __init__(self, *, descends_into: Callable[[str], bool], on_events_lost: OnEventsLost) -> None:
        super().__init__()
        self._descends_into = descends_into
        self._on_events_lost = on_events_lost
        self.unmounted = False
        """A file system with watched directories was unmounted. A file system mounted there later is not watched."""
        self.exhausted = False
        """The kernel refused a watch because the limit is reached: some directories are not watched."""

    @property
    def descriptor(self) -> int:
        """The file descriptor of the queue."""
        return self._inotify_fd

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """Watch one directory. watchdog skips the directory on an OSError."""
        name = os.fsdecode(path)
        # If the kernel answers EACCES, watchdog records the directory under the invalid descriptor -1.
        if not self._descends_into(name) or not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        try:
            return super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == errno.ENOSPC and not self.exhausted:
                self.exhausted = True
                self._on_events_lost()
            raise

    def handle_event(self, event: InotifyEvent) -> None:
        """Pass an event on; report lost events if the event says so."""
        super().handle_event(event)
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self.unmounted = True
            self._on_events_lost()
        elif event.is_queue_overflow:
            self._on_events_lost(overflow=True)

    def _add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        # As in watchdog, but without a warning for a directory that is already watched, which is common for new ones.
        watch = self._get_or_create_watch(path, mask)
        watch.callbacks[id_] = callback
        return watch.wd


class InotifyObserver(BaseObserver):
    """watchdog's observer on an :class:`Inotify` queue.

    Raise OSError with advice if the kernel grants no further queue.
    """

    def __init__(self, *, descends_into: Callable[[str], bool], on_events_lost: OnEventsLost) -> None:
        try:
            self._queue = Inotify(descends_into=descends_into, on_events_lost=on_events_lost)
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
        """Return whether events still arrive."""
        return super().is_alive() and self._queue.is_alive() and not self._queue.unmounted

    def kernel_watches(self) -> KernelWatches | None:
        """Return which directories are watched now; None if the kernel does not report it."""
        with suppress(OSError):
            return KernelWatches(self._queue.descriptor)
        return None

    @property
    def unwatched_reason(self) -> str | None:
        """Why some directories are not watched, and how to change that; None if all are."""
        return _advice("max_user_watches") if self._queue.exhausted else None


def _advice(name: str) -> str:
    try:
        limit = int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return f"fs.inotify.{name} is too low"
    return f"all {limit} of fs.inotify.{name} are in use; raise it with: sudo sysctl fs.inotify.{name}={2 * limit}"
