"""The process that the service manager of Windows starts: the daemon, and what is said of it to Windows.

pywin32 calls the class below: made and run in a thread of the service's own, told to stop in the main one.
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
from syncd.asyncio_tools import run_until
from syncd.cli.errors import Exit, Fault, unforeseen
from syncd.config import paths
from syncd.logs.format import words
from syncd.platform.windows import scm

if TYPE_CHECKING:
    from syncd.daemon.daemon import Daemon

assert sys.platform == "win32"

STARTING = 300.0
"""Seconds until it counts as running in any case: opening a large job store takes long after a crash, and Windows can't
stop what is still starting."""
STOPPING = 15.0
"""Seconds that Windows is told to wait for the end; it takes about 5."""
NEEDS_A_PERSON = {"folder.offline", "remote.unauthorized"}
"""Warnings that go to the event log as errors do; each is logged once until it changes."""
_ERROR_SERVICE_SPECIFIC_ERROR = 1066


def dispatch() -> None:
    """Be the service, until it has stopped. A fault where it is not the service manager that has started this."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a service has no console
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
    servicemanager.Initialize(scm.NAME, None)
    servicemanager.PrepareToHostSingle(Service)
    try:
        servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]
    except pywintypes.error as error:
        raise Fault(
            f"only the service manager starts the service ({error.strerror}): say syncd service install --now",
            code=Exit.USAGE,
        ) from None


class Service(win32serviceutil.ServiceFramework):
    """The daemon as the service manager starts and stops it; its methods are named by pywin32."""

    _svc_name_ = scm.NAME

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self._told = win32service.SERVICE_START_PENDING, 0.0
        self._loop: asyncio.AbstractEventLoop
        self._daemon: Daemon

    def SvcRun(self) -> None:  # noqa: N802 - pywin32's name
        """Run the daemon to its end. Windows starts it again when that was a failure, which is in the event log."""
        try:
            self._work()
        except Fault as fault:
            self._fail(fault)
        except Exception as error:  # noqa: BLE001 - the last resort: pywin32 would write a traceback to the event log
            self._fail(unforeseen(error))

    def SvcStop(self) -> None:  # noqa: N802 - pywin32's name
        """Have the daemon end. It is running: before, Windows does not ask."""
        self._tell(win32service.SERVICE_STOP_PENDING, STOPPING)
        with suppress(RuntimeError):  # it has just ended by itself
            self._loop.call_soon_threadsafe(self._daemon.end)

    SvcShutdown = SvcStop

    def SvcInterrogate(self) -> None:  # noqa: N802 - pywin32's name
        """Tell Windows again how it is."""
        self._tell(*self._told)

    def _work(self) -> None:
        self._tell(win32service.SERVICE_START_PENDING, STARTING)
        # What follows takes long to load: only now, for Windows does not wait long for a service to show up.
        from syncd.cli.configuration import load  # noqa: PLC0415 - as above
        from syncd.cli.session import working  # noqa: PLC0415 - as above
        from syncd.daemon.daemon import Daemon  # noqa: PLC0415 - as above

        self._tell(win32service.SERVICE_START_PENDING, STARTING)
        loaded = load(str(paths.SYSTEM_CONFIG))
        with working(loaded):
            logs.alert(_alert)
            self._tell(win32service.SERVICE_START_PENDING, STARTING)
            asyncio.run(self._run(Daemon(loaded)))

    async def _run(self, daemon: "Daemon") -> None:
        self._daemon, self._loop = daemon, asyncio.get_running_loop()
        telling = asyncio.create_task(self._follow(daemon))
        try:
            await daemon.run()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _follow(self, daemon: "Daemon") -> None:
        """Tell Windows when the daemon has come up, and when it begins to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STARTING):
                await run_until(daemon.ending, daemon.ready.wait())
        self._tell(win32service.SERVICE_RUNNING)
        await daemon.ending.wait()
        self._tell(win32service.SERVICE_STOP_PENDING, STOPPING)

    def _fail(self, fault: Fault) -> None:
        """Say why to the event log, and that it has failed to Windows; ends the process, for pywin32 would say 0."""
        _log(servicemanager.LogErrorMsg, "\n".join(" ".join(line.split()) for line in fault.lines))
        self.ReportServiceStatus(
            win32service.SERVICE_STOPPED,
            win32ExitCode=_ERROR_SERVICE_SPECIFIC_ERROR,
            svcExitCode=scm.OWN_CODE | fault.code,
        )
        os._exit(fault.code)

    def _tell(self, status: int, wait: float = 0.0) -> None:
        self._told = status, wait
        self.ReportServiceStatus(status, waitHint=int(wait * 1000))


def _alert(event: Mapping[str, Any]) -> None:
    """Write what needs a person to the event log."""
    if event["level"] == "warning":
        if event["event"] in NEEDS_A_PERSON:
            _log(servicemanager.LogWarningMsg, words(event))
    else:
        _log(servicemanager.LogErrorMsg, words(event))


def _log(write: Callable[[str], None], text: str) -> None:
    with suppress(pywintypes.error):  # the event log is full, or not there: no reason to fail
        write(text)
