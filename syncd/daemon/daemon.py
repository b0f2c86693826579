"""Runs the daemon: starts its parts and shuts them down in order.

The configuration is applied by :mod:`~syncd.daemon.reload`; the control API is answered by
:mod:`~syncd.daemon.control_service`.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import structlog

from syncd import __version__, localtime
from syncd.asyncio_tools import background_task, run_until, until_next
from syncd.config.load import Loaded
from syncd.control.events import Hub
from syncd.control.service import InvalidConfigError, Limits
from syncd.daemon import serializers
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.cancelled_contents import CancelledContents
from syncd.daemon.credential_renewal import CredentialRenewal
from syncd.daemon.lifecycle import Lifecycle
from syncd.daemon.listeners import listening
from syncd.daemon.local_files import LocalFiles, open_files
from syncd.daemon.notifications import Notifications
from syncd.daemon.pause import Pause
from syncd.daemon.reload import Reload, configure_logging, load_again
from syncd.daemon.runtime import Runtime, open_runtime
from syncd.daemon.unreadable_files import UnreadableFiles
from syncd.dashboard.server import DashboardServer
from syncd.platform import signals
from syncd.platform.systemd import notify
from syncd.upload.worker import RemoteState

log = structlog.get_logger()

STATUS_INTERVAL_SECONDS = 4.0
"""Time between two status lines for the service manager; less if its watchdog needs a sign of life sooner.

A multiple of the folders' check interval, so that both wake the process together."""


class Daemon(Lifecycle):
    """One run of ``syncd run``."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.started_at = time.monotonic()
        self.ready = asyncio.Event()
        """Is set when the control API answers and all folders are watched."""
        self.shutdown_requested = asyncio.Event()
        self.hub = Hub()
        self.dashboard: DashboardServer | None = None
        self._error: BaseException | None = None
        self._reload_requested = asyncio.Event()
        self._reload_lock = asyncio.Lock()
        # Set by run(), once the store is open:
        self.runtime: Runtime
        self.after_upload: AfterUploadTask
        self.renewal: CredentialRenewal
        self.files: LocalFiles
        self.unreadable_files: UnreadableFiles
        self.notifications: Notifications
        self._pause: Pause
        self._reload: Reload

    async def run(self) -> None:
        """Run until a shutdown is requested. Raises the error of a background task that failed."""
        handlers = dict.fromkeys(signals.END, self.request_shutdown) | dict.fromkeys(
            signals.RELOAD, self.request_reload
        )
        with signals.calling(handlers):
            async with contextlib.AsyncExitStack() as stack:
                opening = stack.enter_async_context(open_runtime(self.loaded.config, failed=self._fail))
                # Opening the store can wait for a full disk; a shutdown must not wait for that.
                if runtime := await run_until(self.shutdown_requested, opening):
                    await self._run_tasks(runtime)
            log.info("daemon.ended")
        if self._error:
            raise self._error

    async def _run_tasks(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.after_upload = AfterUploadTask(runtime, paused=lambda: self.paused or self.shutdown_requested.is_set())
        self._pause = Pause(runtime, self.after_upload)
        await self._pause.restore()
        self.renewal = CredentialRenewal(runtime, lock=self._reload_lock, suspended=self.after_upload.suspended)
        self.unreadable_files = UnreadableFiles(runtime)
        await self.unreadable_files.load()
        self.notifications = Notifications(self)
        self._reload = Reload(runtime, self.after_upload, self.renewal, self.notifications)
        await self.after_upload.recover()
        await self.after_upload.configure()
        async with (
            open_files(runtime) as self.files,
            listening(self),
            self._task(self.after_upload.run()),
            self._task(self._pause.run()),
            self._task(CancelledContents(runtime).run()),
            self._task(self.unreadable_files.run()),
            self._task(self._heartbeat()),
            self._task(self.notifications.run()),
        ):
            await self._run_until_shutdown()

    async def _run_until_shutdown(self) -> None:
        config = self.loaded.config
        log.info(
            "daemon.started",
            version=__version__,
            pid=os.getpid(),
            config=str(self.loaded.path),
            folders=len(config.folders),
            remotes=len(config.remotes),
            stopped=self.paused,
        )
        self.runtime.folders.start()
        self.ready.set()
        notify.ready(self.status_line())
        async with self._task(self._reload_loop()), self._task(self.renewal.run()):
            await self.shutdown_requested.wait()
        notify.stopping()
        log.info("daemon.stopping")
        async with self._reload_lock, self.after_upload.suspended():
            pass  # wait for a reload in progress: it still works with the folders and the scheduler
        await self.runtime.folders.close()
        await self.runtime.scheduler.close()

    def _task(self, coro: Coroutine[Any, Any, None]) -> contextlib.AbstractAsyncContextManager[None]:
        """Run ``coro`` in the background during the context; its failure ends the daemon."""
        return background_task(coro, failed=self._fail)

    @property
    def paused(self) -> bool:
        """True after ``syncd ctl stop``."""
        return self.runtime.scheduler.paused

    @property
    def paused_until(self) -> datetime | None:
        """The value of :attr:`syncd.daemon.lifecycle.Lifecycle.paused_until`."""
        return self._pause.until

    @property
    def state(self) -> str:
        """The value of :attr:`syncd.daemon.lifecycle.Lifecycle.state`."""
        if self.shutdown_requested.is_set():
            return "stopping"
        if self.paused:
            return "stopped"
        return "blocked" if self.runtime.store.blocked else "running"

    @property
    def uptime(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started_at

    def request_shutdown(self) -> None:
        """End the process in order; further requests have no effect."""
        self.shutdown_requested.set()

    def _fail(self, error: BaseException) -> None:
        """Shut down because a background task failed and its work is no longer done."""
        log.error("daemon.failed", exc_info=error)
        self._error = self._error or error
        self.request_shutdown()

    def request_reload(self) -> None:
        """Reload the configuration soon; requests that arrive before that are one reload."""
        self._reload_requested.set()

    async def _reload_loop(self) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            with contextlib.suppress(InvalidConfigError):  # already logged
                await self.reload()

    # Commands of the control API.

    async def resume(self) -> None:
        """Resume uploading, and store that choice."""
        await self._pause.end()

    async def pause(self, *, now: bool, until: datetime | None = None) -> None:
        """Pause uploading and the removal of uploaded files, and store that choice."""
        await self._pause.begin(now=now, until=until)

    async def limit(self, wanted: Limits) -> None:
        """Apply these limits until the next reload; the configuration file does not change."""
        async with self._reload_lock:
            limits = serializers.parse_limits(self.runtime.limits, wanted)
            for key in self.runtime.limit(limits):
                log.info("daemon.limited", setting=f"scheduler.{key}", value=limits.model_dump(mode="json")[key])

    async def reload(self) -> list[str]:
        """Apply the configuration file; return one line per change and per warning.

        InvalidConfigError if the file has problems, or if a shutdown interrupts the reload.
        """
        async with self._reload_lock:
            notify.reloading()
            try:
                loaded = await load_again(self.loaded)
                configure_logging(loaded)  # always: the configuration may contain new secrets to redact
                changes = await self._apply(loaded)
                if changes is None:
                    raise InvalidConfigError(["not taken over: the daemon is ending"])
                self.loaded = loaded
            finally:
                notify.ready(self.status_line())
            log.info("daemon.reloaded", changes=changes)
            return [*changes, *loaded.warnings]

    async def _apply(self, loaded: Loaded) -> list[str] | None:
        """Apply a configuration; return the changes, or None if a shutdown came first."""
        shutting_down = self.shutdown_requested.is_set()
        async with self.after_upload.suspended():
            if shutting_down:
                return None
            return await run_until(self.shutdown_requested, self._reload.apply(loaded.config))

    # The service manager.

    def status_line(self) -> str:
        """Return one line about the current work, for ``systemctl status``."""
        runtime = self.runtime
        active = len(runtime.scheduler.progress())
        until = "" if self.paused_until is None else f" until {localtime.at(self.paused_until):%Y-%m-%d %H:%M}"
        doing = f"stopped by syncd ctl stop{until}" if self.paused else f"uploading {active}" if active else "idle"
        if runtime.store.blocked:
            doing = f"blocked: {runtime.store.blocked}"
        workers = runtime.scheduler.workers.values()
        down = [f"{worker.name} {worker.state}" for worker in workers if worker.state is not RemoteState.ONLINE]
        watched = len(runtime.folders.watches)
        return ", ".join([f"watching {watched} folder{'s' if watched != 1 else ''}", doing, *down])

    async def _heartbeat(self) -> None:
        watchdog = notify.watchdog_interval()
        interval = min(STATUS_INTERVAL_SECONDS, watchdog / 3) if watchdog else STATUS_INTERVAL_SECONDS
        while True:
            notify.status(self.status_line())
            if self.runtime.store.alive:
                notify.watchdog()
            await asyncio.sleep(until_next(interval))
