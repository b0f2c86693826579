"""Whether others on this machine can read a file that holds a secret, and what to do about it."""

import os
import stat
import sys
from pathlib import Path

if sys.platform == "win32":
    import win32con
    import win32security

    _CROWDS = {"S-1-1-0", "S-1-5-4", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546"}
    """Everyone, whoever is logged in at the machine, authenticated users, Users and Guests."""
    _READING = 0x0001 | win32con.GENERIC_READ | win32con.GENERIC_ALL
    """FILE_READ_DATA, or rights that it is part of."""
    _ALLOWED = 0
    """ACCESS_ALLOWED_ACE_TYPE."""

    def others_can_read(file: Path) -> bool:
        """Whether more than single accounts and administrators may read, by its access control list. OSError."""
        try:
            owners = win32security.GetNamedSecurityInfo(
                str(file), win32security.SE_FILE_OBJECT, win32security.DACL_SECURITY_INFORMATION
            ).GetSecurityDescriptorDacl()
        except win32security.error as error:
            raise OSError(None, error.strerror, str(file), error.winerror) from None
        if owners is None:  # no list: all may do all
            return True
        entries = (owners.GetAce(at) for at in range(owners.GetAceCount()))
        return any(
            kind == _ALLOWED and rights & _READING and win32security.ConvertSidToStringSid(who) in _CROWDS
            for (kind, _), rights, who in entries
        )

    def keeping(file: Path) -> str:
        """Return the command that leaves a file to its owner alone."""
        return f'icacls "{file}" /inheritance:r /grant:r "%USERNAME%:F"'
else:

    def others_can_read(file: Path) -> bool:
        """Whether group or others may read, by its mode. OSError."""
        return bool(os.stat(file).st_mode & (stat.S_IRGRP | stat.S_IROTH))

    def keeping(file: Path) -> str:
        """Return the command that leaves a file to its owner alone."""
        return f"chmod 600 {file}"
