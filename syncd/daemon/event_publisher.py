"""What the daemon tells those who listen: each change of a job and each log line as it comes, all else by looking.

The looking goes on only while somebody listens, and begins anew for each who comes: so a listener knows the whole state
after its first quarter of a second.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import structlog

from syncd import logs
from syncd.control.events import Hub
from syncd.daemon.control_service import DaemonSteering
from syncd.daemon.runtime import Runtime
from syncd.daemon.serializers import job_event
from syncd.logs.buffer import Event
from syncd.logs.format import document
from syncd.store.job_store import Change

log = structlog.get_logger()

LOOK = 0.25
"""Seconds between two looks."""
PENANCE = 5.0
"""Seconds to wait after a look that failed."""


class Feed:
    """Brings what happens to ``hub``. Made in the loop's thread."""

    def __init__(self, hub: Hub, runtime: Runtime, steering: DaemonSteering) -> None:
        self._hub = hub
        self._runtime = runtime
        self._steering = steering
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._told: dict[tuple[str, str], object] = {}
        self._joined = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Tell what happens as long as the context lasts."""
        self._runtime.store.on_change.append(self._changed)
        silence = logs.recent.listen(self._logged)
        looking = asyncio.create_task(self._look_on(), name="feed")
        try:
            yield
        finally:
            silence()
            self._runtime.store.on_change.remove(self._changed)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _changed(self, change: Change) -> None:
        if self._hub.wanted("job"):
            self._hub.publish("job", job_event(change))

    def _logged(self, event: Event) -> None:
        """Pass a log event on; it may come from any thread."""
        if not self._hub.wanted("log"):
            return
        if threading.get_ident() == self._thread:
            self._tell_log(event)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._tell_log, event)

    def _tell_log(self, event: Event) -> None:
        self._hub.publish("log", document(event))

    async def _look_on(self) -> None:
        while True:
            await self._hub.audience()
            try:
                await self._look()
                await asyncio.sleep(LOOK)
            except Exception:
                log.exception("events.failed")
                await asyncio.sleep(PENANCE)

    async def _look(self) -> None:
        """Tell what is not as it was told last."""
        if self._hub.joined != self._joined:
            self._joined = self._hub.joined
            self._told.clear()
        self.tell_state()
        if self._hub.wanted("folder"):
            for folder in await self._steering.folders():
                self._tell("folder", folder["path"], folder)
        for remote in await self._steering.remotes():
            steady = {name: value for name, value in remote.items() if name != "retry_in_seconds"}
            self._tell("remote", remote["name"], remote, steady)
        if self._hub.wanted("progress"):
            self._tell("progress", "", await self._steering.progress())

    def tell_state(self) -> None:
        """Tell the state of the daemon, if it has changed."""
        self._tell("daemon", "", self._steering.daemon_event())

    def _tell(self, kind: str, whose: str, document: Mapping[str, Any], steady: object = None) -> None:
        """Publish a document if it has changed; in ``steady`` what counts as a change, if that is not all of it."""
        now = document if steady is None else steady
        if self._told.get((kind, whose)) != now:
            self._told[kind, whose] = now
            self._hub.publish(kind, document)
