r"""Installs, starts, stops and removes the service with the service control manager.

The manager is called SCM below. The service runs as ``NT SERVICE\syncd``, an account that Windows creates for it and
that nobody can log in with.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pywintypes
import win32api
import win32con
import win32event
import win32service

from syncd.platform.systemd.install import CommandFailedError

assert sys.platform == "win32"

P = ParamSpec("P")
T = TypeVar("T")

NAME = "syncd"
ACCOUNT = rf"NT SERVICE\{NAME}"
PROGRAM = f'"{sys.executable}" -I -m syncd service dispatch'
"""The command that the SCM starts. ``-I`` keeps the machine's environment from changing what Python loads."""
RESTART_DELAYS_MS = (5_000, 30_000, 300_000)
"""Delay of the restart after the first, the second and each later failure."""
FAILURE_RESET_SECONDS = 86_400
"""Time without a failure after which Windows counts failures from zero."""
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
REMOVAL_TIMEOUT_SECONDS = 5.0
OWN_EXIT_CODE = 0x2000_0000
"""Bit in the exit codes of the service; without it, Windows would take them for its own error codes."""

_SETTINGS: tuple[tuple[int, Any], ...] = (
    (win32service.SERVICE_CONFIG_DESCRIPTION, "Uploads the images that are dropped into its folders."),
    (win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True),
    (
        win32service.SERVICE_CONFIG_FAILURE_ACTIONS,
        {
            "ResetPeriod": FAILURE_RESET_SECONDS,
            "RebootMsg": "",
            "Command": "",
            "Actions": tuple((win32service.SC_ACTION_RESTART, pause) for pause in RESTART_DELAYS_MS),
        },
    ),
    (win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True),
)
"""Description, delayed start, and restarts after a crash or an exit code other than 0."""
_BASICS = (
    win32service.SERVICE_WIN32_OWN_PROCESS,
    win32service.SERVICE_AUTO_START,
    win32service.SERVICE_ERROR_NORMAL,
    PROGRAM,
    None,
    False,
    None,
    ACCOUNT,
    None,
)
"""Type, start, error control, program, group, tag, dependencies, account and password."""
_STATES = {
    win32service.SERVICE_STOPPED: "stopped",
    win32service.SERVICE_START_PENDING: "starting",
    win32service.SERVICE_STOP_PENDING: "stopping",
    win32service.SERVICE_RUNNING: "running",
}
# Error codes of Windows, from winerror.h.
_SERVICE_CANNOT_ACCEPT_CTRL = 1061
_SERVICE_DOES_NOT_EXIST = 1060
_SERVICE_NOT_ACTIVE = 1062
_SERVICE_SPECIFIC_ERROR = 1066
_SERVICE_NEVER_STARTED = 1077
_INVALID_LEVEL = 124
"""wine does not know all settings."""
_ALL = win32service.SERVICE_ALL_ACCESS


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """The state of the service, and the exit code of its failure, or 0."""

    state: str
    pid: int
    code: int

    def __str__(self) -> str:
        if self.state != "stopped":
            return f"{self.state}, pid {self.pid}"
        if not self.code:
            return "stopped"
        return (
            f"stopped, it failed with {self.code}: see the event log "
            f"(Get-WinEvent -ProviderName {NAME} -MaxEvents 1 | Format-List)"
        )


def _translate_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Raise errors of the SCM as :class:`CommandFailedError`."""

    @wraps(function)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except pywintypes.error as error:
            raise CommandFailedError(f"service {NAME}: {error.funcname}: {error.strerror}") from None

    return tried


@_translate_errors
def show() -> Shown | None:
    """Return the state of the service; None if it is not installed."""
    with _service(win32service.SERVICE_QUERY_STATUS) as service:
        if service is None:
            return None
        status: Any = win32service.QueryServiceStatusEx(service)
    code = status["Win32ExitCode"]
    if code == _SERVICE_SPECIFIC_ERROR:
        code = status["ServiceSpecificExitCode"] & ~OWN_EXIT_CODE
    elif code == _SERVICE_NEVER_STARTED:
        code = 0
    return Shown(state=_STATES.get(status["CurrentState"], "pausing"), pid=status["ProcessId"], code=code)


def active() -> bool:
    """Return whether the service is in any state but stopped."""
    shown = show()
    return shown is not None and shown.state != "stopped"


@_translate_errors
def current() -> bool:
    """Return whether the service is installed with the settings of :func:`place`."""
    with _service(win32service.SERVICE_QUERY_CONFIG) as service:
        if service is None:
            return False
        kind, start, errors, program, _, _, _, account, _ = win32service.QueryServiceConfig(service)
        placed = (kind, start, errors, program, account) == (*_BASICS[:4], ACCOUNT)
        return placed and all(_is_set(service, level, value) for level, value in _SETTINGS)


@_translate_errors
def place() -> None:
    """Install the service or update its settings, which take effect at its next start."""
    with _service(_ALL) as service:
        if service is None:
            with _manager(win32service.SC_MANAGER_CREATE_SERVICE) as manager:
                win32service.CloseServiceHandle(win32service.CreateService(manager, NAME, NAME, _ALL, *_BASICS))
        else:
            win32service.ChangeServiceConfig(service, *_BASICS, NAME)
    with _service(_ALL) as service:
        for level, value in _SETTINGS:
            _set(service, level, value)


@_translate_errors
def start() -> None:
    """Start the service and wait until it runs.

    Raises :class:`CommandFailedError` if it ends first.
    """
    with _service(win32service.SERVICE_START) as service:
        win32service.StartService(service, None)
    _until(
        lambda: _state() != "starting", f"is still starting after {START_TIMEOUT_SECONDS:g} s", START_TIMEOUT_SECONDS
    )
    if (shown := show()) and shown.state == "stopped":
        raise CommandFailedError(f"service {NAME}: {shown}")


@_translate_errors
def stop() -> None:
    """Stop the service and wait until its process, which has files open, has ended."""
    _until(
        lambda: _state() != "starting", "is still starting and can't be stopped: try again later", START_TIMEOUT_SECONDS
    )
    shown = show()
    if not shown or not shown.pid:
        return
    process = win32api.OpenProcess(win32con.SYNCHRONIZE, False, shown.pid)
    with _service(win32service.SERVICE_STOP) as service:
        try:
            win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
        except pywintypes.error as error:
            if error.winerror not in (_SERVICE_CANNOT_ACCEPT_CTRL, _SERVICE_NOT_ACTIVE):  # it is ending already
                raise
    _until(
        lambda: win32event.WaitForSingleObject(process, 0) == win32event.WAIT_OBJECT_0 and _state() == "stopped",
        f"has not stopped within {STOP_TIMEOUT_SECONDS:g} s",
        STOP_TIMEOUT_SECONDS,
    )


@_translate_errors
def remove() -> None:
    """Remove the service. Windows completes this when no program has the service open."""
    with _service(win32con.DELETE) as service:
        win32service.DeleteService(service)
    _until(
        lambda: show() is None,
        "is still in use: close the programs that show it, such as Services",
        REMOVAL_TIMEOUT_SECONDS,
    )


def _state() -> str | None:
    shown = show()
    return shown.state if shown else None


def _until(reached: Callable[[], bool], failure: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise CommandFailedError(f"service {NAME} {failure}")
        time.sleep(0.1)


def _is_set(service: Any, level: int, wanted: Any) -> bool:
    try:
        found: Any = win32service.QueryServiceConfig2(service, level)
    except pywintypes.error as error:
        if error.winerror == _INVALID_LEVEL:
            return True
        raise
    if isinstance(found, dict):
        found = {key: value or "" for key, value in found.items()}  # Windows returns None for an empty text
    return bool(found == wanted)


def _set(service: Any, level: int, value: Any) -> None:
    try:
        win32service.ChangeServiceConfig2(service, level, value)
    except pywintypes.error as error:
        if error.winerror != _INVALID_LEVEL:
            raise


@contextmanager
def _manager(access: int) -> Iterator[Any]:
    manager = win32service.OpenSCManager(None, None, access)
    try:
        yield manager
    finally:
        win32service.CloseServiceHandle(manager)


@contextmanager
def _service(access: int) -> Iterator[Any]:
    """Yield a handle of the service; None if it is not installed."""
    with _manager(win32service.SC_MANAGER_CONNECT) as manager:
        try:
            service = win32service.OpenService(manager, NAME, access)
        except pywintypes.error as error:
            if error.winerror != _SERVICE_DOES_NOT_EXIST:
                raise
            service = None
        try:
            yield service
        finally:
            if service:
                win32service.CloseServiceHandle(service)
