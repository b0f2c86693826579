"""Puts the Windows service in place and takes it away, in the steps of :mod:`syncd.platform.systemd.install`.

All that is the service's own is in one folder, open to its account, administrators and the system.
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

from syncd.platform.systemd.install import CommandFailed, Step
from syncd.platform.windows import folders
from syncd.platform.windows import scm as manager

assert sys.platform == "win32"

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


def install(*, now: bool) -> Iterator[Step]:
    """Put the service in place, have it started with the machine, and ``now`` if so wished."""
    folder = folders.SYSTEM_CONFIG.parent
    yield Step(what=str(folder), done="made", due=lambda: not _is_there(folder), act=partial(_make_folder, folder))
    yield Step(
        what=str(folders.SYSTEM_CONFIG),
        done="written; path, url, pool_id and token are yours to set there",
        due=lambda: not folders.SYSTEM_CONFIG.exists(),
        act=_write_config,
    )
    yield Step(
        what="event log",
        done="told of the source syncd",
        due=lambda: _source() != servicemanager.__file__,
        act=lambda: win32evtlogutil.AddSourceToRegistry(manager.NAME, servicemanager.__file__),
    )
    yield Step(
        what=f"service {manager.NAME}",
        done="brought up to date, which takes effect at its next start" if manager.show() else "installed",
        due=lambda: not manager.current(),
        act=manager.place,
    )
    if now:
        yield Step(what=f"service {manager.NAME}", done="started", due=lambda: not manager.active(), act=manager.start)


def uninstall(*, purge: bool) -> Iterator[Step]:
    """Stop the service and take it away; with ``purge`` what it knows and its configuration too."""
    folder = folders.SYSTEM_CONFIG.parent
    yield Step(what=f"service {manager.NAME}", done="stopped", due=manager.active, act=manager.stop)
    yield Step(
        what=f"service {manager.NAME}", done="removed", due=lambda: manager.show() is not None, act=manager.remove
    )
    yield Step(
        what="event log",
        done="told to forget the source",
        due=lambda: _source() is not None,
        act=lambda: win32evtlogutil.RemoveSourceFromRegistry(manager.NAME),
    )
    if purge:
        yield Step(what=str(folder), done="removed", due=folder.exists, act=partial(shutil.rmtree, folder))


def account(name: str) -> str:
    """Return the number of a service's account, which Windows makes from the service's name."""
    parts = struct.unpack("<5I", hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest())
    return "S-1-5-80-" + "-".join(map(str, parts))


def _is_there(folder: Path) -> bool:
    """Whether the folder is there. :class:`CommandFailed` where anybody may have made it, to have it his own way."""
    if not folder.is_dir():
        return False
    found = win32security.GetNamedSecurityInfo(
        str(folder), win32security.SE_FILE_OBJECT, win32security.OWNER_SECURITY_INFORMATION
    )
    owner = win32security.ConvertSidToStringSid(found.GetSecurityDescriptorOwner())
    if owner not in _makers():
        raise CommandFailed(f"{folder} belongs to {owner}, who is no administrator: move it away")
    return True


def _makers() -> set[str]:
    """Return the numbers of the system, of administrators, and of who does this."""
    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32security.TOKEN_QUERY)
    me, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    return {"S-1-5-18", "S-1-5-32-544", win32security.ConvertSidToStringSid(me)}


def _make_folder(folder: Path) -> None:
    attributes = pywintypes.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        f"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{account(manager.NAME)})", win32security.SDDL_REVISION_1
    )
    win32file.CreateDirectory(str(folder), attributes)


def _write_config() -> None:
    folder = folders.SYSTEM_CONFIG.parent
    (folder / "inbox").mkdir(exist_ok=True)
    text = CONFIG.format(
        config=folders.SYSTEM_CONFIG, inbox=folder / "inbox", token=folder / "drive.token", log=folder / "syncd.log"
    )
    folders.SYSTEM_CONFIG.write_text(text, encoding="utf-8")


def _source() -> str | None:
    """Return the file that has the event log's words for the source, None where it does not know the source."""
    with (
        suppress(FileNotFoundError),
        winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE, rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{manager.NAME}"
        ) as key,
    ):
        return str(winreg.QueryValueEx(key, "EventMessageFile")[0])
    return None
