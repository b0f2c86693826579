"""Distributes the daemon's events to all listeners, encoded as server-sent events.

:class:`Hub` encodes an event once, and only if a client listens to its kind. Each :class:`Subscription` is a bounded
queue: a slow client loses the oldest events, and gets an event with their number. The publisher never waits.
"""

import asyncio
import json
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from syncd.control.event_schemas import EVENT_KINDS

LOST = "lost"
"""The kind of the event with the number of lost events."""
MAX_LISTENERS = 100
"""The limit for simultaneous listeners."""
MAX_PENDING_BYTES = 256 * 1024
"""The size of a listener's queue."""
BATCH_BYTES = 128 * 1024
"""The approximate size of a batch: the last event can exceed it."""


class TooManyListenersError(Exception):
    """The number of listeners has reached its limit."""


class Subscription:
    """The queue of one listener; a context manager that ends the subscription."""

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
        self._hub.unsubscribe(self)

    def put(self, block: bytes) -> None:
        """Add an encoded event; drop the oldest events if the queue is full."""
        self._blocks.append(block)
        self._size += len(block)
        while self._size > self._hub.max_pending_bytes:
            self._size -= len(self._blocks.popleft())
            self._lost += 1
        self._changed.set()

    def end(self) -> None:
        """Wake :meth:`next_batch`, which returns the remaining events and then empty batches."""
        self._changed.set()

    async def next_batch(self) -> bytes:
        """Wait for events, and return a batch; empty after the last event of a closed hub."""
        await self._changed.wait()
        taken = bytearray()
        if self._lost:
            taken += encode_event(LOST, {"count": self._lost})
            self._lost = 0
        while self._blocks and len(taken) < BATCH_BYTES:
            block = self._blocks.popleft()
            self._size -= len(block)
            taken += block
        if not self._blocks and not self._hub.closed:
            self._changed.clear()
        return bytes(taken)


class Hub:
    """Passes published events to its subscriptions. Belongs to one event loop."""

    def __init__(self, *, max_listeners: int = MAX_LISTENERS, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        self.max_pending_bytes = max_pending_bytes
        self.closed = False
        self.subscriptions_made = 0
        """The number of subscriptions so far; after a new one, the publisher sends the whole state."""
        self._max_listeners = max_listeners
        self._listeners: list[Subscription] = []
        self._has_listener = asyncio.Event()

    def wanted(self, kind: str) -> bool:
        """Return True if a client listens to events of this kind."""
        return any(kind in listener.kinds for listener in self._listeners)

    async def wait_for_listener(self) -> None:
        """Wait until a client listens."""
        await self._has_listener.wait()

    def publish(self, kind: str, document: Mapping[str, Any]) -> None:
        """Add the event to each subscription of its kind."""
        block = b""
        for listener in self._listeners:
            if kind in listener.kinds:
                block = block or encode_event(kind, document)
                listener.put(block)

    def subscribe(self, kinds: Collection[str] = EVENT_KINDS) -> Subscription:
        """Return a new subscription. Raises :class:`TooManyListenersError`."""
        if self.closed or len(self._listeners) >= self._max_listeners:
            raise TooManyListenersError(
                f"{len(self._listeners)} clients listen already: close one, or request the status instead"
            )
        listener = Subscription(self, kinds)
        self._listeners.append(listener)
        self.subscriptions_made += 1
        self._has_listener.set()
        return listener

    def unsubscribe(self, listener: Subscription) -> None:
        """Remove a subscription."""
        self._listeners.remove(listener)
        if not self._listeners:
            self._has_listener.clear()

    def close(self) -> None:
        """End all subscriptions after their remaining events."""
        self.closed = True
        for listener in self._listeners:
            listener.end()


def encode_event(kind: str, document: Mapping[str, Any]) -> bytes:
    """Encode an event: in ASCII, so that no character of the data can end the line."""
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode("ascii")
