"""The running daemon: rooms, control socket, signals, service manager; started and stopped in order."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

import structlog

from syncd import __version__, logs
from syncd.asyncio_tools import run_until
from syncd.config.load import ConfigError, Loaded, load
from syncd.config.model import Config
from syncd.control.events import Hub
from syncd.control.service import InvalidConfigError, Limits
from syncd.daemon import settings
from syncd.daemon.after_upload import AfterUpload
from syncd.daemon.cancelled_contents import CancelledContents
from syncd.daemon.credential_renewal import CredentialRenewal
from syncd.daemon.listeners import listening
from syncd.daemon.local_files import LocalFiles, open_files
from syncd.daemon.runtime import PAUSED_SETTING, Runtime, open_runtime
from syncd.dashboard.server import DashboardServer
from syncd.platform import signals
from syncd.platform.systemd import notify

log = structlog.get_logger()
T = TypeVar("T")

HEARTBEAT = 5.0
"""Seconds between two status lines for the service manager, unless its watchdog wants them sooner."""


class Daemon:
    """One run of ``syncd run``."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.started_at = time.monotonic()
        self.ready = asyncio.Event()
        """Is set when it has come up."""
        self.ending = asyncio.Event()
        self.hub = Hub()
        self._error: BaseException | None = None
        self._reload_requested = asyncio.Event()
        self._reloading = asyncio.Lock()
        self.runtime: Runtime
        self.after_upload: AfterUpload
        self.renewal: CredentialRenewal
        self.files: LocalFiles
        self.dashboard: DashboardServer | None = None
        """The dashboard's, where there is to be one."""

    async def run(self) -> None:
        """Run until asked to end; raises what killed a side task."""
        with signals.calling(dict.fromkeys(signals.END, self.end) | dict.fromkeys(signals.RELOAD, self.request_reload)):
            async with contextlib.AsyncExitStack() as stack:
                runtime = open_runtime(self.loaded.config, failed=self._fail)
                # The store may wait for a full disk: that must not hold up the end.
                if opened := await run_until(self.ending, stack.enter_async_context(runtime)):
                    await self._run_tasks(opened)
            log.info("daemon.ended")
        if self._error:
            raise self._error

    async def _run_tasks(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.after_upload = AfterUpload(runtime, stopped=lambda: self.stopped or self.ending.is_set())
        self.renewal = CredentialRenewal(runtime, busy=self._reloading, suspended=self.after_upload.suspended)
        await self.after_upload.recover()
        await self.after_upload.take_over()
        async with (
            open_files(runtime) as self.files,
            listening(self),
            _task(self, self.after_upload.run()),
            _task(self, CancelledContents(runtime).run()),
            _task(self, self._heartbeat()),
        ):
            await self._serve_until_shutdown()

    async def _serve_until_shutdown(self) -> None:
        config = self.loaded.config
        log.info(
            "daemon.started",
            version=__version__,
            pid=os.getpid(),
            config=str(self.loaded.path),
            folders=len(config.folders),
            remotes=len(config.remotes),
            stopped=self.stopped,
        )
        self.runtime.folders.start()
        self.ready.set()
        notify.ready(self.status_line())
        async with _task(self, self._reload_loop()), _task(self, self.renewal.run()):
            await self.ending.wait()
        notify.stopping()
        log.info("daemon.stopping")
        async with self._reloading, self.after_upload.suspended():
            pass  # what a reload was working on must not go before it has wound up
        await self.runtime.folders.close()
        await self.runtime.scheduler.close()

    @property
    def stopped(self) -> bool:
        """Say whether a person stopped the uploading."""
        return self.runtime.scheduler.paused

    @property
    def state(self) -> str:
        """Say what it is doing: running, stopped or stopping."""
        return "stopping" if self.ending.is_set() else "stopped" if self.stopped else "running"

    @property
    def uptime(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started_at

    def end(self) -> None:
        """Begin to end; asking twice changes nothing."""
        self.ending.set()

    def _fail(self, error: BaseException) -> None:
        """End because a side task died: without it the daemon would only seem to work."""
        log.error("daemon.failed", exc_info=error)
        self._error = self._error or error
        self.end()

    def check(self, task: asyncio.Task[None]) -> None:
        """End if a side task has died."""
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def request_reload(self) -> None:
        """Have the configuration read again; asking ten times at once is asking once."""
        self._reload_requested.set()

    async def _reload_loop(self) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            with contextlib.suppress(InvalidConfigError):  # it is in the log
                await self.reload()

    # What people ask for.

    async def start(self) -> None:
        """Upload again, and remember it."""
        await self.runtime.store.set_setting(PAUSED_SETTING, "no")
        self.runtime.scheduler.resume()
        self.after_upload.wake()
        log.info("daemon.resumed")

    async def stop(self, *, now: bool) -> None:
        """Upload no more, delete and move no more, and remember it."""
        await self.runtime.store.set_setting(PAUSED_SETTING, "yes")
        async with self.after_upload.suspended():
            await self.runtime.scheduler.pause(now=now)
        log.info("daemon.paused", now=now)

    async def limit(self, wanted: Limits) -> None:
        """Go by these limits until the next reload; the configuration file stays as it is."""
        async with self._reloading:
            limits = settings.adjusted(self.runtime.limits, wanted)
            for key in self.runtime.limit(limits):
                log.info("daemon.limited", setting=f"scheduler.{key}", value=limits.model_dump(mode="json")[key])

    async def reload(self) -> list[str]:
        """Take over the configuration file as it is now; return what changed and what to beware of."""
        async with self._reloading:
            notify.reloading()
            try:
                loaded = await _load_again(self.loaded)
                _configure_logging(loaded)  # whatever changed: there may be a secret to mask that is new
                over = self.ending.is_set()
                async with self.after_upload.suspended():
                    changes = None if over else await run_until(self.ending, self._apply(loaded.config))
                if changes is None:
                    raise InvalidConfigError(["not taken over: the daemon is ending"])
                self.loaded = loaded
            finally:
                notify.ready(self.status_line())
            log.info("daemon.reloaded", changes=changes)
            return [*changes, *loaded.warnings]

    async def _apply(self, new: Config) -> list[str]:
        runtime, old = self.runtime, self.runtime.config
        runtime.config = new
        changes = []
        if new.logging != old.logging:
            changes.append("logging")
        changes += [f"scheduler.{key}" for key in runtime.limit(new.scheduler)]
        changes += await self._apply_remotes(old, new)
        changes += await self.renewal.look()
        changes += await self._apply_folders(old, new)
        await self.after_upload.take_over()
        changes += await self._count_affected(old, new)
        for key in ("state_dir", "store", "control"):
            if getattr(new, key) != getattr(old, key):
                changes.append(f"{key}: takes effect at the next restart")
        return changes

    async def _apply_remotes(self, old: Config, new: Config) -> list[str]:
        """Replace the lanes whose settings changed; those that stay keep uploading."""
        runtime = self.runtime
        going = [name for name in old.remotes if old.remotes[name] != new.remotes.get(name)]
        for name in going:
            await runtime.remove_remote(name)
        coming = [name for name in new.remotes if name not in runtime.remote_ids]
        for name in coming:
            await runtime.add_remote(name, new.remotes[name])
        return [f"remote {name}" for name in dict.fromkeys([*going, *coming])]

    async def _apply_folders(self, old: Config, new: Config) -> list[str]:
        """Watch anew each folder whose settings changed or whose remotes are others now."""
        runtime = self.runtime
        before = {folder.path: folder for folder in old.folders}
        after = {folder.path: folder for folder in new.folders}
        moved = {name for name in old.remotes if old.remotes[name] != new.remotes.get(name)}
        going = [
            path for path, folder in before.items() if folder != after.get(path) or moved.intersection(folder.remotes)
        ]
        for path in going:
            await runtime.folders.remove(path)
        coming = [path for path in after if path not in runtime.folders.watches]
        for path in coming:
            runtime.folders.add(after[path], runtime.ids_of(after[path].remotes))
        runtime.folders.start()
        return [f"folder {path}" for path in dict.fromkeys([*going, *coming])]

    async def _count_affected(self, old: Config, new: Config) -> list[str]:
        """Return a line for each folder that deletes or moves files from now on, with how many it begins with."""
        before = {folder.path: folder.after_upload for folder in old.folders}
        return [
            f"folder {folder.path}: after_upload is {folder.after_upload.action} now, which affects "
            f"{await self.after_upload.affected(folder)} files that are uploaded already"
            for folder in new.folders
            if folder.after_upload.action != "keep" and folder.after_upload != before.get(folder.path)
        ]

    # The service manager.

    def status_line(self) -> str:
        """Say in one line what the daemon is doing."""
        runtime = self.runtime
        active = len(runtime.scheduler.progress())
        doing = "stopped by syncd ctl stop" if self.stopped else f"uploading {active}" if active else "idle"
        down = [
            f"{worker.name} {worker.state}" for worker in runtime.scheduler.workers.values() if worker.endpoint.down
        ]
        watched = len(runtime.folders.watches)
        return ", ".join([f"watching {watched} folder{'s' if watched != 1 else ''}", doing, *down])

    async def _heartbeat(self) -> None:
        interval = notify.watchdog_interval()
        while True:
            notify.status(self.status_line())
            if self.runtime.store.alive:
                notify.watchdog()
            await asyncio.sleep(min(HEARTBEAT, interval / 3) if interval else HEARTBEAT)


@contextlib.asynccontextmanager
async def _task(daemon: Daemon, work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Do ``work`` beside; without it the daemon does not go on."""
    task = asyncio.create_task(work)
    task.add_done_callback(daemon.check)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _load_again(loaded: Loaded) -> Loaded:
    try:
        return await asyncio.to_thread(load, loaded.path)
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
        log.error("daemon.reload_refused", problems=problems)  # noqa: TRY400 - the problems are the whole story
        raise InvalidConfigError(problems) from None


def _configure_logging(loaded: Loaded) -> None:
    try:
        logs.configure_from(loaded.config)
    except OSError as error:
        problem = f"{loaded.path}: logging.file: can't be opened: {error.strerror}"
        log.error("daemon.reload_refused", problems=[problem])  # noqa: TRY400 - the problem is the whole story
        raise InvalidConfigError([problem]) from None
