r"""The service as the service manager of Windows has it: asked about, put in place, started, stopped and taken away.

It has an account of its own that nobody can log in with, ``NT SERVICE\syncd``, which Windows makes for it.
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

from syncd.platform.systemd.install import CommandFailed

assert sys.platform == "win32"

P = ParamSpec("P")
T = TypeVar("T")

NAME = "syncd"
ACCOUNT = rf"NT SERVICE\{NAME}"
PROGRAM = f'"{sys.executable}" -I -m syncd service dispatch'
"""What the service manager starts; ``-I``: nothing in the machine's environment decides what is loaded."""
RESTARTS = (5_000, 30_000, 300_000)
"""Milliseconds after which Windows starts it again when it failed for the first, the second and each later time."""
FORGET = 86_400
"""Seconds without a failure after which the next one is the first again."""
STARTING = 60.0
"""Seconds that a start is waited for."""
STOPPING = 30.0
"""Seconds that a stop is waited for."""
REMOVING = 5.0
"""Seconds that the removal is waited for."""
OWN_CODE = 0x2000_0000
"""Is in an exit code that the service reports: without it Windows would read the number as an error of its own."""

_SETTINGS: tuple[tuple[int, Any], ...] = (
    (win32service.SERVICE_CONFIG_DESCRIPTION, "Uploads the images that are dropped into its folders."),
    (win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True),
    (
        win32service.SERVICE_CONFIG_FAILURE_ACTIONS,
        {
            "ResetPeriod": FORGET,
            "RebootMsg": "",
            "Command": "",
            "Actions": tuple((win32service.SC_ACTION_RESTART, pause) for pause in RESTARTS),
        },
    ),
    (win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True),
)
"""What it is for, that it lets the machine come up first, and what happens when it fails, by itself or not."""
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
"""What it is and when it is started, its program, group, tag, dependencies, account and password."""
_STATES = {
    win32service.SERVICE_STOPPED: "stopped",
    win32service.SERVICE_START_PENDING: "starting",
    win32service.SERVICE_STOP_PENDING: "stopping",
    win32service.SERVICE_RUNNING: "running",
}
# Errors of Windows by their numbers there.
_SERVICE_CANNOT_ACCEPT_CTRL = 1061
_SERVICE_DOES_NOT_EXIST = 1060
_SERVICE_NOT_ACTIVE = 1062
_SERVICE_SPECIFIC_ERROR = 1066
_SERVICE_NEVER_STARTED = 1077
_INVALID_LEVEL = 124
"""wine has not all of the settings, and goes without."""
_ALL = win32service.SERVICE_ALL_ACCESS


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What the service manager says of the service: its state, and the code with which it failed, or 0."""

    state: str
    pid: int
    code: int

    def __str__(self) -> str:
        if self.state != "stopped":
            return f"{self.state}, pid {self.pid}"
        if not self.code:
            return "stopped"
        return (
            f"stopped, it failed with {self.code}: the event log says why "
            f"(Get-WinEvent -ProviderName {NAME} -MaxEvents 1 | Format-List)"
        )


def _in_words(function: Callable[P, T]) -> Callable[P, T]:
    """Have what the service manager refuses raised as :class:`CommandFailed`."""

    @wraps(function)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except pywintypes.error as error:
            raise CommandFailed(f"service {NAME}: {error.funcname}: {error.strerror}") from None

    return tried


@_in_words
def show() -> Shown | None:
    """Return how the service is, None if there is none."""
    with _service(win32service.SERVICE_QUERY_STATUS) as service:
        if service is None:
            return None
        status: Any = win32service.QueryServiceStatusEx(service)
    code = status["Win32ExitCode"]
    if code == _SERVICE_SPECIFIC_ERROR:
        code = status["ServiceSpecificExitCode"] & ~OWN_CODE
    elif code == _SERVICE_NEVER_STARTED:
        code = 0
    return Shown(state=_STATES.get(status["CurrentState"], "pausing"), pid=status["ProcessId"], code=code)


def active() -> bool:
    """Say whether it runs, or is about to, or has not ended yet."""
    shown = show()
    return shown is not None and shown.state != "stopped"


@_in_words
def current() -> bool:
    """Say whether it is in place just as :func:`place` would have it."""
    with _service(win32service.SERVICE_QUERY_CONFIG) as service:
        if service is None:
            return False
        kind, start, errors, program, _, _, _, account, _ = win32service.QueryServiceConfig(service)
        placed = (kind, start, errors, program, account) == (*_BASICS[:4], ACCOUNT)
        return placed and all(_is_set(service, level, value) for level, value in _SETTINGS)


@_in_words
def place() -> None:
    """Put it in place, or bring it up to date; one that runs goes on as it is until its next start."""
    with _service(_ALL) as service:
        if service is None:
            with _manager(win32service.SC_MANAGER_CREATE_SERVICE) as manager:
                win32service.CloseServiceHandle(win32service.CreateService(manager, NAME, NAME, _ALL, *_BASICS))
        else:
            win32service.ChangeServiceConfig(service, *_BASICS, NAME)
    with _service(_ALL) as service:
        for level, value in _SETTINGS:
            _set(service, level, value)


@_in_words
def start() -> None:
    """Start it and wait until it works. :class:`CommandFailed` if it ends before."""
    with _service(win32service.SERVICE_START) as service:
        win32service.StartService(service, None)
    _until(lambda: _state() != "starting", f"is still starting after {STARTING:g} s", STARTING)
    if (shown := show()) and shown.state == "stopped":
        raise CommandFailed(f"service {NAME}: {shown}")


@_in_words
def stop() -> None:
    """Stop it and wait until its process has ended, which until then has files open."""
    _until(lambda: _state() != "starting", "is still starting, and can't be stopped until it has", STARTING)
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
        f"has not stopped within {STOPPING:g} s",
        STOPPING,
    )


@_in_words
def remove() -> None:
    """Take it away, and wait until it is gone, which takes until nobody looks at it any more."""
    with _service(win32con.DELETE) as service:
        win32service.DeleteService(service)
    _until(lambda: show() is None, "goes once the programs that show it, such as Services, are closed", REMOVING)


def _state() -> str | None:
    shown = show()
    return shown.state if shown else None


def _until(reached: Callable[[], bool], otherwise: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise CommandFailed(f"service {NAME} {otherwise}")
        time.sleep(0.1)


def _is_set(service: Any, level: int, wanted: Any) -> bool:
    try:
        found: Any = win32service.QueryServiceConfig2(service, level)
    except pywintypes.error as error:
        if error.winerror == _INVALID_LEVEL:
            return True
        raise
    if isinstance(found, dict):
        found = {key: value or "" for key, value in found.items()}  # an empty text comes back as None
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
    """Give the service as the manager has it, None if there is none."""
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
