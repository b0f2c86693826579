"""Installs and removes the Windows service, as a list of steps.

:mod:`syncd.platform.systemd.install` does the same with systemd. One folder has the configuration, the state and the
log. Only the service's account, administrators and the system can access it. :mod:`syncd.platform.windows.scm` talks to
the service control manager.
"""

import hashlib
import shutil
import struct
import sys
import winreg
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pywintypes
import servicemanager
import win32api
import win32evtlogutil
import win32file
import win32security

from syncd.platform.systemd.install import CommandFailedError, Step
from syncd.platform.windows import folders
from syncd.platform.windows import scm as manager

assert sys.platform == "win32"

CONFIG = """\
# Configuration of the syncd service. Set at least path, url, pool_id and the token. Then run:
#   syncd check -c "{config}"
#   syncd service install --now
# config.example.yaml, which `syncd init FILE` writes too, explains all keys.

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


def install(*, now: bool) -> Iterator[Step]:
    """Return the steps that install the service and start it with the machine.

    ``now`` starts it at once too.
    """
    folder = folders.SYSTEM_CONFIG.parent
    yield Step(
        what=str(folder), done="created", due=lambda: not _folder_exists(folder), act=partial(_make_folder, folder)
    )
    yield Step(
        what=str(folders.SYSTEM_CONFIG),
        done="written; set path, url, pool_id and token in it",
        due=lambda: not folders.SYSTEM_CONFIG.exists(),
        act=_write_config,
    )
    yield Step(
        what=f"event log source {manager.NAME}",
        done="registered",
        due=lambda: _message_file() != servicemanager.__file__,
        act=lambda: win32evtlogutil.AddSourceToRegistry(manager.NAME, servicemanager.__file__),
    )
    yield Step(
        what=f"service {manager.NAME}",
        done="updated; the change takes effect at its next start" if manager.show() else "installed",
        due=lambda: not manager.current(),
        act=manager.place,
    )
    if now:
        yield Step(what=f"service {manager.NAME}", done="started", due=lambda: not manager.active(), act=manager.start)


def uninstall(*, purge: bool) -> Iterator[Step]:
    """Return the steps that stop and remove the service.

    ``purge`` removes its state, log and configuration too.
    """
    folder = folders.SYSTEM_CONFIG.parent
    yield Step(what=f"service {manager.NAME}", done="stopped", due=manager.active, act=manager.stop)
    yield Step(
        what=f"service {manager.NAME}", done="removed", due=lambda: manager.show() is not None, act=manager.remove
    )
    yield Step(
        what=f"event log source {manager.NAME}",
        done="removed",
        due=lambda: _message_file() is not None,
        act=lambda: win32evtlogutil.RemoveSourceFromRegistry(manager.NAME),
    )
    if purge:
        yield Step(what=str(folder), done="removed", due=folder.exists, act=partial(shutil.rmtree, folder))


def account_sid(name: str) -> str:
    """Return the SID of a service's account, which Windows derives from the service's name."""
    parts = struct.unpack("<5I", hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest())
    return "S-1-5-80-" + "-".join(map(str, parts))


def _folder_exists(folder: Path) -> bool:
    """Return whether the folder exists.

    Raises :class:`CommandFailedError` if its owner is not an administrator: another user may have created it to control
    the service.
    """
    if not folder.is_dir():
        return False
    found = win32security.GetNamedSecurityInfo(
        str(folder), win32security.SE_FILE_OBJECT, win32security.OWNER_SECURITY_INFORMATION
    )
    owner = win32security.ConvertSidToStringSid(found.GetSecurityDescriptorOwner())
    if owner not in _trusted_owners():
        raise CommandFailedError(f"{folder} belongs to {owner}, not to an administrator: move it away")
    return True


def _trusted_owners() -> set[str]:
    """Return the SIDs of the system, of administrators and of the current user."""
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32security.TOKEN_QUERY)
    me, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    return {"S-1-5-18", "S-1-5-32-544", win32security.ConvertSidToStringSid(me)}


def _make_folder(folder: Path) -> None:
    attributes = pywintypes.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        f"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{account_sid(manager.NAME)})",
        win32security.SDDL_REVISION_1,
    )
    win32file.CreateDirectory(str(folder), attributes)


def _write_config() -> None:
    folder = folders.SYSTEM_CONFIG.parent
    (folder / "inbox").mkdir(exist_ok=True)
    text = CONFIG.format(
        config=folders.SYSTEM_CONFIG, inbox=folder / "inbox", token=folder / "drive.token", log=folder / "syncd.log"
    )
    folders.SYSTEM_CONFIG.write_text(text, encoding="utf-8")


def _message_file() -> str | None:
    """Return the file with the messages of the event log source; None if it is not registered."""
    with (
        suppress(FileNotFoundError),
        winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE, rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{manager.NAME}"
        ) as key,
    ):
        return str(winreg.QueryValueEx(key, "EventMessageFile")[0])
    return None
