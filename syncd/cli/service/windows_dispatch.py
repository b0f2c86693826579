"""Runs the daemon as a Windows service and reports to the service manager.

pywin32 creates and runs :class:`Service` in a separate thread, and calls ``SvcStop`` in the main thread.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pywintypes
import servicemanager
import win32service
import win32serviceutil

from syncd import logs
from syncd.asyncio_tools import background_task, run_until
from syncd.cli.errors import CommandError, ExitCode, internal_error
from syncd.config import paths
from syncd.logs.format import words
from syncd.platform.windows import scm

if TYPE_CHECKING:
    from syncd.daemon.daemon import Daemon

assert sys.platform == "win32"

START_TIMEOUT_SECONDS = 300.0
"""Longest time in the state "starting", in which Windows cannot stop the service.

The first start after an update may migrate a large job store.
"""
STOP_TIMEOUT_SECONDS = 15.0
"""Time that Windows allows for a stop, which takes about 5 seconds."""
EVENT_LOG_WARNINGS = {"folder.offline", "remote.unauthorized"}
"""Warnings that go to the Windows event log like errors, because the user must act on them."""
_ERROR_SERVICE_SPECIFIC_ERROR = 1066


def dispatch() -> None:
    """Run the service until it has stopped.

    Raises :class:`CommandError` if the service manager has not started this process.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a service has no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    servicemanager.Initialize(scm.NAME, None)
    servicemanager.PrepareToHostSingle(Service)
    try:
        servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]
    except pywintypes.error as error:
        raise CommandError(
            f"only the service manager can start the service ({error.strerror}); run: syncd service install --now",
            code=ExitCode.USAGE,
        ) from None


class Service(win32serviceutil.ServiceFramework):
    """Starts and stops the daemon for the service manager; pywin32 names the methods."""

    _svc_name_ = scm.NAME

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self._reported = win32service.SERVICE_START_PENDING, 0.0
        self._loop: asyncio.AbstractEventLoop
        self._daemon: Daemon

    def SvcRun(self) -> None:  # noqa: N802 - pywin32's name
        """Run the daemon until it ends.

        A failure goes to the event log, and Windows restarts the service.
        """
        try:
            self._run_service()
        except CommandError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - pywin32 would write a traceback to the event log
            self._fail(internal_error(error))

    def SvcStop(self) -> None:  # noqa: N802 - pywin32's name
        """Shut the daemon down. Windows calls this only for a running service."""
        self._report_status(win32service.SERVICE_STOP_PENDING, STOP_TIMEOUT_SECONDS)
        with suppress(RuntimeError):  # the daemon has just ended on its own
            self._loop.call_soon_threadsafe(self._daemon.request_shutdown)

    SvcShutdown = SvcStop

    def SvcInterrogate(self) -> None:  # noqa: N802 - pywin32's name
        """Repeat the last reported status."""
        self._report_status(*self._reported)

    def _run_service(self) -> None:
        self._report_status(win32service.SERVICE_START_PENDING, START_TIMEOUT_SECONDS)
        # These imports take long, and Windows expects the first status of a service soon: report it before.
        from syncd.cli.state_folder import load_config, open_locked  # noqa: PLC0415 - see above
        from syncd.daemon.daemon import Daemon  # noqa: PLC0415 - see above

        self._report_status(win32service.SERVICE_START_PENDING, START_TIMEOUT_SECONDS)
        loaded = load_config(str(paths.SYSTEM_CONFIG))
        with open_locked(loaded):
            logs.on_warning(_write_to_event_log)
            self._report_status(win32service.SERVICE_START_PENDING, START_TIMEOUT_SECONDS)
            asyncio.run(self._run(Daemon(loaded)))

    async def _run(self, daemon: "Daemon") -> None:
        self._daemon, self._loop = daemon, asyncio.get_running_loop()
        async with background_task(self._report_daemon(daemon)):
            await daemon.run()

    async def _report_daemon(self, daemon: "Daemon") -> None:
        """Report to Windows when the daemon has started, and when its shutdown begins."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                await run_until(daemon.shutdown_requested, daemon.ready.wait())
        self._report_status(win32service.SERVICE_RUNNING)
        await daemon.shutdown_requested.wait()
        self._report_status(win32service.SERVICE_STOP_PENDING, STOP_TIMEOUT_SECONDS)

    def _fail(self, error: CommandError) -> None:
        """Write the reason to the event log, report the failure and exit the process.

        Without the exit, pywin32 would report exit code 0.
        """
        _write_event(servicemanager.LogErrorMsg, "\n".join(" ".join(line.split()) for line in error.lines))
        self.ReportServiceStatus(
            win32service.SERVICE_STOPPED,
            win32ExitCode=_ERROR_SERVICE_SPECIFIC_ERROR,
            svcExitCode=scm.OWN_EXIT_CODE | error.code,
        )
        os._exit(error.code)

    def _report_status(self, status: int, wait: float = 0.0) -> None:
        self._reported = status, wait
        self.ReportServiceStatus(status, waitHint=int(wait * 1000))


def _write_to_event_log(event: Mapping[str, Any]) -> None:
    """Write errors, and :data:`EVENT_LOG_WARNINGS`, to the Windows event log."""
    if event["level"] == "warning":
        if event["event"] in EVENT_LOG_WARNINGS:
            _write_event(servicemanager.LogWarningMsg, words(event))
    else:
        _write_event(servicemanager.LogErrorMsg, words(event))


def _write_event(write: Callable[[str], None], text: str) -> None:
    with suppress(pywintypes.error):  # the event log is full or unavailable: the service continues
        write(text)
