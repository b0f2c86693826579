"""Connects the notifications to the daemon.

They read its status, its job store and the results of its uploads.
"""

import socket
import time
from datetime import datetime

import structlog

from syncd.config.notify import Notify
from syncd.control.schemas import Status
from syncd.control.service import JobQuery
from syncd.core.states import State
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.lifecycle import Lifecycle
from syncd.daemon.runtime import ListenerOrder
from syncd.notify.notifier import Notifier
from syncd.notify.summary import Results
from syncd.store.records import Change

log = structlog.get_logger()

_SETTING = "notified"
"""The key in the store for what a person has been told."""


class Notifications:
    """The source of the notifier, and the notifier itself."""

    def __init__(self, daemon: Lifecycle) -> None:
        self._store = daemon.runtime.store
        self._service = DaemonControlService(daemon)
        now = time.time()
        self.results = Results(since=now, last_upload=now)
        self._notifier = Notifier(daemon.loaded.config.notify, self, host=socket.gethostname())

    def configure(self, settings: Notify) -> None:
        """Apply other settings."""
        self._notifier.configure(settings)

    async def run(self) -> None:
        """Notify until cancelled. A failure ends the notifications, but not the daemon."""
        self._store.changes.subscribe(self._count, order=ListenerOrder.NOTIFICATIONS)
        try:
            await self._restore_last_upload()
            await self._notifier.run()
        except Exception:
            log.exception("notify.crashed", target="all")
        finally:
            self._store.changes.unsubscribe(self._count)

    async def status(self) -> Status:
        """Return the status document."""
        return await self._service.status()

    async def load(self) -> str | None:
        """Return the text that :meth:`save` saved last."""
        return await self._store.get_setting(_SETTING)

    async def save(self, text: str) -> None:
        """Save a text; while the disk is full, this call waits."""
        await self._store.set_setting(_SETTING, text)

    async def _restore_last_upload(self) -> None:
        page = await self._service.jobs(JobQuery(state=State.DONE, limit=1))
        for job in page["jobs"]:
            self.results.last_upload = datetime.fromisoformat(job["updated_at"]).timestamp()

    def _count(self, change: Change) -> None:
        self.results.add(change.after, change.outcome, change.size, change.at)
