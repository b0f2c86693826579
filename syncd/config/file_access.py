"""Checks who can read a file: this user, or others on this machine.

:mod:`syncd.config.document` and :mod:`syncd.config.discovery` use it for the configuration file,
:mod:`syncd.config.tokens` for files with secrets.
"""

import os
import stat
import sys
from pathlib import Path

from syncd.config.errors import ForbiddenError, Problem

if sys.platform == "win32":
    _EVERYBODY_SIDS = {"S-1-1-0", "S-1-5-4", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546"}
    """Everyone, interactive users, authenticated users, Users and Guests."""
    _ACCESS_ALLOWED_ACE_TYPE = 0

    def others_can_read(file: Path) -> bool:
        """Return whether a group of all users may read the file. Raise OSError.

        The file's access control list decides.
        """
        import win32con  # noqa: PLC0415 - `syncd ctl` loads this module and does not need these
        import win32security  # noqa: PLC0415 - as above

        reading = 0x0001 | win32con.GENERIC_READ | win32con.GENERIC_ALL  # FILE_READ_DATA, and rights that include it
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

    def _fixes(_path: Path) -> list[str]:
        return ["run as an administrator"]
else:
    import grp
    import pwd

    def others_can_read(file: Path) -> bool:
        """Return whether the file's mode lets its group or others read it. Raise OSError."""
        return bool(os.stat(file).st_mode & (stat.S_IRGRP | stat.S_IROTH))

    def owner_only_command(file: Path) -> str:
        """Return the command that lets only the owner access the file."""
        return f"chmod 600 {file}"

    def _fixes(path: Path) -> list[str]:
        group = _group_with_access(path)
        join = f"join its group (sudo usermod -aG {group} {_user_name()}, then log in again)"
        return ["run with sudo", join] if group else ["run with sudo"]

    def _group_with_access(path: Path) -> str | None:
        """Name the group with access to the path that stops this user; None if only root has."""
        for place in (path, *path.parents):
            try:
                entry = place.stat()
            except OSError:
                continue  # a folder above it stops this user
            needed = stat.S_IXGRP if stat.S_ISDIR(entry.st_mode) else stat.S_IRGRP
            if not entry.st_mode & needed or entry.st_gid == 0:
                return None
            try:
                return grp.getgrgid(entry.st_gid).gr_name
            except KeyError:
                return None
        return None

    def _user_name() -> str:
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return str(os.geteuid())


def forbidden_error(path: Path) -> ForbiddenError:
    """Build the error for a configuration file that this user cannot read.

    The message names the ways to gain access.
    """
    message = f"permission denied — {', '.join(_fixes(path))}, or name another file with -c"
    return ForbiddenError(Problem(file=str(path), message=message))
