"""The Windows twin of :mod:`syncd.platform.posix.private`.

The access control list of a file decides who can read it. The functions import pywin32 when they are called, because
`syncd ctl` loads this module and must start fast.
"""

import msvcrt
import os
import sys
from pathlib import Path
from typing import Any

from syncd.platform.windows import files

assert sys.platform == "win32"

_EVERYBODY_SIDS = {"S-1-1-0", "S-1-5-4", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546"}
"""Everyone, interactive users, authenticated users, Users and Guests."""
_ACCESS_ALLOWED_ACE_TYPE = 0
_FILE_READ_DATA = 0x0001


def private_attributes() -> Any:
    """Return security attributes that give access to this user, administrators and the system."""
    import pywintypes  # noqa: PLC0415 - see the head of the module
    import win32api  # noqa: PLC0415
    import win32con  # noqa: PLC0415
    import win32security  # noqa: PLC0415

    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
    user, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    sid = win32security.ConvertSidToStringSid(user)
    attributes = pywintypes.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        f"D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{sid})", win32security.SDDL_REVISION_1
    )
    return attributes


def create_private(path: str) -> int:
    """Create a file that only its owner can access; return its descriptor, for writing."""
    import pywintypes  # noqa: PLC0415
    import win32con  # noqa: PLC0415
    import win32file  # noqa: PLC0415

    try:
        handle = win32file.CreateFile(
            path, win32con.GENERIC_WRITE, 0, private_attributes(), win32con.CREATE_NEW, 0, None
        )
    except pywintypes.error as error:
        raise OSError(None, error.strerror, path, error.winerror) from None
    return msvcrt.open_osfhandle(int(handle.Detach()), os.O_WRONLY | files.SAFE_OPEN_FLAGS)


def mode_allows_others(_info: os.stat_result) -> bool:
    """Return False: files have no mode, and inherit the access control list of their folder."""
    return False


def others_can_read(file: Path) -> bool:
    """Return whether the access control list lets a group of all users read the file.

    Raises OSError.
    """
    import win32con  # noqa: PLC0415
    import win32security  # noqa: PLC0415

    reading = _FILE_READ_DATA | win32con.GENERIC_READ | win32con.GENERIC_ALL
    try:
        acl = win32security.GetNamedSecurityInfo(
            str(file), win32security.SE_FILE_OBJECT, win32security.DACL_SECURITY_INFORMATION
        ).GetSecurityDescriptorDacl()
    except win32security.error as error:
        raise OSError(None, error.strerror, str(file), error.winerror) from None
    if acl is None:  # without a list, everybody has every right
        return True
    entries = (acl.GetAce(index) for index in range(acl.GetAceCount()))
    return any(
        kind == _ACCESS_ALLOWED_ACE_TYPE
        and rights & reading
        and win32security.ConvertSidToStringSid(sid) in _EVERYBODY_SIDS
        for (kind, _), rights, sid in entries
    )


def owner_only_command(file: Path) -> str:
    """Return the command that lets only the owner access the file."""
    return f'icacls "{file}" /inheritance:r /grant:r "%USERNAME%:F"'


def access_advice(_path: Path) -> list[str]:
    """Return the ways in which this user can gain access to a file."""
    return ["run as an administrator"]
