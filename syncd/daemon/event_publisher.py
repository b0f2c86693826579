"""Publishes the daemon's events to the hub of the control API.

Transitions of jobs and log events are published as they happen. The publisher polls the rest of the state and publishes
what has changed, but only while a client listens. A new listener makes it publish the whole state again.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import structlog

from syncd import logs
from syncd.control.events import Hub
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.runtime import ListenerOrder, Runtime
from syncd.daemon.serializers import job_event
from syncd.logs.buffer import Event
from syncd.logs.format import document
from syncd.store.records import Change

log = structlog.get_logger()

POLL_INTERVAL_SECONDS = 0.25
"""The time between two polls of the state."""
ERROR_BACKOFF_SECONDS = 5.0
"""The wait after a poll that failed."""
_ALWAYS_CHANGING = {"retry_in_seconds", "last_ok_at"}
"""The fields of a remote whose change alone is no event."""


class EventPublisher:
    """Publishes events to ``hub``. Create it in the thread of the event loop."""

    def __init__(self, hub: Hub, runtime: Runtime, service: DaemonControlService) -> None:
        self._hub = hub
        self._runtime = runtime
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._published: dict[tuple[str, str], object] = {}
        self._subscriptions_seen = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Publish events during the context."""
        self._runtime.store.changes.subscribe(self._on_change, order=ListenerOrder.EVENTS)
        stop_listening = logs.recent.listen(self._on_log)
        polling = asyncio.create_task(self._poll_loop(), name="event_publisher")
        try:
            yield
        finally:
            stop_listening()
            self._runtime.store.changes.unsubscribe(self._on_change)
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)

    def _on_change(self, change: Change) -> None:
        if self._hub.wanted("job"):
            self._hub.publish("job", job_event(change))

    def _on_log(self, event: Event) -> None:
        """Publish a log event; callable from any thread."""
        if not self._hub.wanted("log"):
            return
        if threading.get_ident() == self._thread:
            self._publish_log(event)
        else:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._publish_log, event)

    def _publish_log(self, event: Event) -> None:
        self._hub.publish("log", document(event))

    async def _poll_loop(self) -> None:
        while True:
            await self._hub.wait_for_listener()
            try:
                await self._poll()
                await asyncio.sleep(POLL_INTERVAL_SECONDS)
            except Exception:
                log.exception("events.failed")
                await asyncio.sleep(ERROR_BACKOFF_SECONDS)

    async def _poll(self) -> None:
        """Publish each document that has changed since it was last published."""
        if self._hub.subscriptions_made != self._subscriptions_seen:
            self._subscriptions_seen = self._hub.subscriptions_made
            self._published.clear()
        self.publish_state()
        if self._hub.wanted("folder"):
            for folder in await self._service.folders():
                self._publish_if_changed("folder", folder["path"], folder)
        for remote in await self._service.remotes():
            compared = {name: value for name, value in remote.items() if name not in _ALWAYS_CHANGING}
            self._publish_if_changed("remote", remote["name"], remote, compared)
        if self._hub.wanted("progress"):
            self._publish_if_changed("progress", "", await self._service.progress())

    def publish_state(self) -> None:
        """Publish the state of the daemon if it has changed."""
        self._publish_if_changed("daemon", "", self._service.daemon_event())

    def _publish_if_changed(self, kind: str, name: str, document: Mapping[str, Any], compared: object = None) -> None:
        """Publish ``document`` if it, or the part of it in ``compared``, has changed."""
        now = document if compared is None else compared
        if self._published.get((kind, name)) != now:
            self._published[kind, name] = now
            self._hub.publish(kind, document)
