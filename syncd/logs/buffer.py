"""Keeps the latest log events in memory for the control API, redacted like the log lines."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from syncd.core.log_levels import LEVELS
from syncd.logs.format import document, render_console

Event = Mapping[str, Any]
Listener = Callable[[Event], None]

BUFFERED_EVENTS = 2000
"""Largest number of events below warning in the buffer."""
BUFFERED_WARNINGS = 500
"""Largest number of warnings and errors in the buffer."""


class RingBuffer:
    """Keeps the last events and passes each new one to listeners. Thread-safe.

    ``warnings`` warnings and errors are kept apart from ``size`` other events, so that many uploads displace none.
    """

    def __init__(self, size: int = BUFFERED_EVENTS, warnings: int = BUFFERED_WARNINGS) -> None:
        self._others: deque[tuple[int, Event]] = deque(maxlen=size)
        self._warnings: deque[tuple[int, Event]] = deque(maxlen=warnings)
        self._added = 0
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, event: Event) -> None:
        """Keep an event, and call the listeners with it.

        They run in the thread that logs, so they must not raise, block or log.
        """
        with self._lock:
            self._added += 1
            kept = self._warnings if LEVELS[event["level"]] >= LEVELS["warning"] else self._others
            kept.append((self._added, event))
            listeners = self._listeners
        for listener in listeners:
            listener(event)

    def events(self) -> list[Event]:
        """Return the events in the buffer, oldest first."""
        with self._lock:
            return [event for _, event in heapq.merge(self._others, self._warnings, key=itemgetter(0))]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each new event. Return a function that removes the listener."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._remove(listener)

    def clear(self) -> None:
        """Remove all events."""
        with self._lock:
            self._others.clear()
            self._warnings.clear()

    def _remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)


recent = RingBuffer()
"""The buffer of this process."""


def recent_events(*, limit: int, level: str = "debug", event: str = "", text: str = "") -> list[dict[str, Any]]:
    """Return the latest ``limit`` matching events as JSON objects, oldest first.

    An event matches if its level is ``level`` or higher, its name starts with ``event``, and its console line contains
    ``text``, ignoring case.
    """
    render, wanted = render_console(colours=False), text.lower()
    found = [
        candidate
        for candidate in recent.events()
        if LEVELS[candidate["level"]] >= LEVELS[level]
        and str(candidate["event"]).startswith(event)
        and (not wanted or wanted in render(dict(candidate)).lower())
    ]
    return [document(match) for match in found[-limit:]]
