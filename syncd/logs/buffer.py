"""The last log events, kept in memory for people who look on: as they went out, already masked."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]
Listener = Callable[[Event], None]

ROOM = 2000
"""Events that are kept."""


class Ring:
    """Keeps the last ``room`` events, and tells each to its listeners. Any thread may add one."""

    def __init__(self, room: int = ROOM) -> None:
        self._events: deque[Event] = deque(maxlen=room)
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, event: Event) -> None:
        """Keep an event. Listeners are called in the thread of whoever logs: they may not raise, wait or log."""
        with self._lock:
            self._events.append(event)
            listeners = self._listeners
        for listener in listeners:
            listener(event)

    def events(self) -> list[Event]:
        """Return what is kept, oldest first."""
        with self._lock:
            return list(self._events)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` each event from now on; returns what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._forget(listener)

    def clear(self) -> None:
        """Keep nothing of what was."""
        with self._lock:
            self._events.clear()

    def _forget(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)
