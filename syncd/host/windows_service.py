r"""Puts the Windows service in place and takes it away, in the steps of :mod:`syncd.host.service`.

The service has an account of its own that nobody can log in with, ``NT SERVICE\syncd``, which Windows makes for it. All
that is the service's own is in one folder, open to that account, administrators and the system.
"""

import hashlib
import shutil
import struct
import sys
import time
import winreg
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pywintypes
import servicemanager
import win32evtlogutil
import win32file
import win32security
import win32service

from syncd.config import paths
from syncd.host.service import CommandFailed, Step

assert sys.platform == "win32"

NAME = "syncd"
ACCOUNT = rf"NT SERVICE\{NAME}"
DESCRIPTION = "Uploads the images that are dropped into its folders."
RESTARTS = (5_000, 30_000, 300_000)
"""Milliseconds after which Windows starts it again when it failed for the first, the second and each later time."""
FORGET = 86_400
"""Seconds without a failure after which the next one is the first again."""
PATIENCE = 30.0
"""Seconds that it may take to stop."""
CONFIG = """\
# The configuration of the service syncd: at least path, url, pool_id and the token are yours to set. Then:
#   syncd check -c "{config}"
#   syncd service install --now
# Every key with a comment is in config.example.yaml, which `syncd init FILE` writes too.

folders:
  - path: '{inbox}'
    remote: drive

remotes:
  drive:
    type: multipart
    url: http://127.0.0.1:4444
    pool_id: 00000000-0000-0000-0000-000000000000
    # token_file: '{token}'

logging:
  file: '{log}'
"""
_NO_SUCH_SERVICE = 1060
_UNKNOWN_LEVEL = 124
"""ERROR_INVALID_LEVEL: wine has not all of these settings, and goes without."""
_ACCESS = win32service.SERVICE_ALL_ACCESS


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What the service manager says of the service; ``state`` in its own words."""

    state: str
    pid: int


_STATES = {
    win32service.SERVICE_STOPPED: "stopped",
    win32service.SERVICE_START_PENDING: "starting",
    win32service.SERVICE_STOP_PENDING: "stopping",
    win32service.SERVICE_RUNNING: "running",
}


def show() -> Shown | None:
    """Return how the service is, None if there is none."""
    with _service(win32service.SERVICE_QUERY_STATUS) as service:
        if service is None:
            return None
        status: Any = win32service.QueryServiceStatusEx(service)
        return Shown(state=_STATES.get(status["CurrentState"], "pausing"), pid=status["ProcessId"])


def install(*, now: bool) -> Iterator[Step]:
    """Put the service in place, have it started with the machine, and ``now`` if so wished."""
    folder = paths.SYSTEM_CONFIG.parent
    yield Step(what=str(folder), done="made", due=lambda: not folder.is_dir(), act=partial(_make_folder, folder))
    yield Step(
        what=str(paths.SYSTEM_CONFIG),
        done="written; path, url, pool_id and token are yours to set there",
        due=lambda: not paths.SYSTEM_CONFIG.exists(),
        act=_write_config,
    )
    yield Step(
        what="event log",
        done="told of the source syncd",
        due=lambda: not _has_source(),
        act=lambda: win32evtlogutil.AddSourceToRegistry(NAME, servicemanager.__file__),
    )
    yield Step(what=f"service {NAME}", done="installed", due=lambda: show() is None, act=_told(_create))
    if now:
        yield Step(what=f"service {NAME}", done="started", due=lambda: not _runs(), act=_told(_start))


def uninstall(*, purge: bool) -> Iterator[Step]:
    """Stop the service and take it away; with ``purge`` what it knows and its configuration too."""
    folder = paths.SYSTEM_CONFIG.parent
    yield Step(what=f"service {NAME}", done="stopped", due=_runs, act=_told(_stop))
    yield Step(what=f"service {NAME}", done="removed", due=lambda: show() is not None, act=_told(_delete))
    yield Step(
        what="event log",
        done="told to forget the source",
        due=_has_source,
        act=lambda: win32evtlogutil.RemoveSourceFromRegistry(NAME),
    )
    if purge:
        yield Step(what=str(folder), done="removed", due=folder.exists, act=partial(shutil.rmtree, folder))


def account(name: str) -> str:
    """Return the number of a service's account, which Windows makes from the service's name."""
    parts = struct.unpack("<5I", hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest())
    return "S-1-5-80-" + "-".join(map(str, parts))


def program() -> str:
    """Return the command line that the service manager starts."""
    return f'"{sys.executable}" -m syncd service dispatch'


@contextmanager
def _service(access: int) -> Iterator[Any]:
    """Give the service as the manager has it, None if there is none; :class:`CommandFailed` where that is forbidden."""
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    try:
        try:
            service = win32service.OpenService(manager, NAME, access)
        except pywintypes.error as error:
            if error.winerror != _NO_SUCH_SERVICE:
                raise CommandFailed(f"service {NAME}: {error.strerror}") from None
            yield None
            return
        try:
            yield service
        finally:
            win32service.CloseServiceHandle(service)
    finally:
        win32service.CloseServiceHandle(manager)


def _told(act: Callable[[], None]) -> Callable[[], None]:
    """Have what the service manager refuses raised as :class:`CommandFailed`."""

    def tried() -> None:
        try:
            act()
        except pywintypes.error as error:
            raise CommandFailed(f"service {NAME}: {error.funcname}: {error.strerror}") from None

    return tried


def _create() -> None:
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
    try:
        service = win32service.CreateService(
            manager,
            NAME,
            NAME,
            _ACCESS,
            win32service.SERVICE_WIN32_OWN_PROCESS,
            win32service.SERVICE_AUTO_START,
            win32service.SERVICE_ERROR_NORMAL,
            program(),
            None,
            False,
            None,
            ACCOUNT,
            None,
        )
        try:
            _describe(service)
        finally:
            win32service.CloseServiceHandle(service)
    finally:
        win32service.CloseServiceHandle(manager)


def _describe(service: Any) -> None:
    """Say what it is for, that it has time until the machine is up, and what happens when it fails."""
    restarts = [(win32service.SC_ACTION_RESTART, pause) for pause in RESTARTS]
    actions = {"ResetPeriod": FORGET, "RebootMsg": "", "Command": "", "Actions": restarts}
    for level, value in (
        (win32service.SERVICE_CONFIG_DESCRIPTION, DESCRIPTION),
        (win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True),
        (win32service.SERVICE_CONFIG_FAILURE_ACTIONS, actions),
        (win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True),
    ):
        try:
            win32service.ChangeServiceConfig2(service, level, value)
        except pywintypes.error as error:
            if error.winerror != _UNKNOWN_LEVEL:
                raise


def _runs() -> bool:
    shown = show()
    return shown is not None and shown.state != "stopped"


def _start() -> None:
    with _service(_ACCESS) as service:
        win32service.StartService(service, None)


def _stop() -> None:
    with _service(_ACCESS) as service:
        win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
    deadline = time.monotonic() + PATIENCE
    while _runs():
        if time.monotonic() > deadline:
            raise CommandFailed(f"service {NAME} has not stopped within {PATIENCE:g} s")
        time.sleep(0.1)


def _delete() -> None:
    with _service(_ACCESS) as service:
        win32service.DeleteService(service)


def _make_folder(folder: Path) -> None:
    attributes = pywintypes.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        f"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{account(NAME)})", win32security.SDDL_REVISION_1
    )
    win32file.CreateDirectory(str(folder), attributes)


def _write_config() -> None:
    folder = paths.SYSTEM_CONFIG.parent
    (folder / "inbox").mkdir(exist_ok=True)
    text = CONFIG.format(
        config=paths.SYSTEM_CONFIG, inbox=folder / "inbox", token=folder / "drive.token", log=folder / "syncd.log"
    )
    paths.SYSTEM_CONFIG.write_text(text, encoding="utf-8")


def _has_source() -> bool:
    with (
        suppress(FileNotFoundError),
        winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{NAME}"),
    ):
        return True
    return False
