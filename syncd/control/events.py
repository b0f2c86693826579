"""What happens in the daemon, told to all who listen, as server-sent events.

An event is put into words once, and only if somebody listens. Each listener has a queue of its own with a bound: one
who reads slowly loses the oldest events and is told how many; nobody ever waits for a listener.
"""

import asyncio
import json
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from syncd.control.shapes import EVENT_KINDS

LOST = "lost"
"""Tells a listener how many events were dropped just before."""
MAX_LISTENERS = 100
"""Listeners at a time."""
MAX_PENDING_BYTES = 256 * 1024
"""Bytes that wait for one listener."""
BATCH_BYTES = 128 * 1024
"""Bytes handed out at once, if there are as many; one event more may be in it."""


class TooManyListenersError(Exception):
    """There are as many listeners as there may be."""


class Subscription:
    """One listener's events, from :meth:`Hub.subscribe` until it is left."""

    def __init__(self, hub: "Hub", kinds: Collection[str]) -> None:
        self.kinds = frozenset(kinds)
        self._hub = hub
        self._blocks: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._changed = asyncio.Event()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.leave(self)

    def put(self, block: bytes) -> None:
        """Add an event, at the cost of the oldest where there is no room."""
        self._blocks.append(block)
        self._size += len(block)
        while self._size > self._hub.room:
            self._size -= len(self._blocks.popleft())
            self._lost += 1
        self._changed.set()

    def end(self) -> None:
        """Let :meth:`take` return what is left, and then nothing."""
        self._changed.set()

    async def take(self) -> bytes:
        """Wait for events and return some; empty when there will be no more."""
        await self._changed.wait()
        taken = bytearray()
        if self._lost:
            taken += sse(LOST, {"count": self._lost})
            self._lost = 0
        while self._blocks and len(taken) < BATCH_BYTES:
            block = self._blocks.popleft()
            self._size -= len(block)
            taken += block
        if not self._blocks and not self._hub.closed:
            self._changed.clear()
        return bytes(taken)


class Hub:
    """Where events come in and listeners take them. Belongs to one event loop."""

    def __init__(self, *, most: int = MAX_LISTENERS, room: int = MAX_PENDING_BYTES) -> None:
        self.room = room
        self.closed = False
        self.subscriptions_made = 0
        """How many have ever come: whoever tells changes begins anew when it grows."""
        self._most = most
        self._listeners: list[Subscription] = []
        self._has_listener = asyncio.Event()

    def wanted(self, kind: str) -> bool:
        """Say whether somebody listens to events of this kind."""
        return any(kind in listener.kinds for listener in self._listeners)

    async def wait_for_listener(self) -> None:
        """Wait until somebody listens."""
        await self._has_listener.wait()

    def publish(self, kind: str, document: Mapping[str, Any]) -> None:
        """Tell all who listen to this kind. Never waits."""
        block = b""
        for listener in self._listeners:
            if kind in listener.kinds:
                block = block or sse(kind, document)
                listener.put(block)

    def subscribe(self, kinds: Collection[str] = EVENT_KINDS) -> Subscription:
        """Let one more listen; :class:`TooManyListenersError` if there are enough."""
        if self.closed or len(self._listeners) >= self._most:
            raise TooManyListenersError(
                f"{len(self._listeners)} listen already: close one, or ask for the status instead"
            )
        listener = Subscription(self, kinds)
        self._listeners.append(listener)
        self.subscriptions_made += 1
        self._has_listener.set()
        return listener

    def leave(self, listener: Subscription) -> None:
        """Tell this one no more."""
        self._listeners.remove(listener)
        if not self._listeners:
            self._has_listener.clear()

    def close(self) -> None:
        """Let every listener come to an end."""
        self.closed = True
        for listener in self._listeners:
            listener.end()


def sse(kind: str, document: Mapping[str, Any]) -> bytes:
    """Return one event as it goes over the wire: ASCII, so that no character in it can end its line."""
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode("ascii")
