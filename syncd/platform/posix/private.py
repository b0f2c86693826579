"""The Unix twin of :mod:`syncd.platform.windows.private`.

The mode of a file decides who can read it.
"""

import grp
import os
import stat
import sys
from pathlib import Path

from syncd.platform.posix import files, user

assert sys.platform != "win32"


def create_private(path: str) -> int:
    """Create a file that only its owner can access; return its descriptor, for writing."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | files.SAFE_OPEN_FLAGS, 0o600)


def mode_allows_others(info: os.stat_result) -> bool:
    """Return whether the mode gives the group or others any access to the file."""
    return bool(info.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def others_can_read(file: Path) -> bool:
    """Return whether the mode of the file lets its group or others read it. Raises OSError."""
    return bool(os.stat(file).st_mode & (stat.S_IRGRP | stat.S_IROTH))


def owner_only_command(file: Path) -> str:
    """Return the command that lets only the owner access the file."""
    return f"chmod 600 {file}"


def access_advice(path: Path) -> list[str]:
    """Return the ways in which this user can gain access to a file."""
    group = _group_with_access(path)
    join = f"join its group (sudo usermod -aG {group} {user.own_name()}, then log in again)"
    return ["run with sudo", join] if group else ["run with sudo"]


def _group_with_access(path: Path) -> str | None:
    """Return the group that has access to a file that this user cannot read.

    None if only root has access.
    """
    for place in (path, *path.parents):
        try:
            entry = place.stat()
        except OSError:
            continue  # this user cannot enter a folder above
        needed = stat.S_IXGRP if stat.S_ISDIR(entry.st_mode) else stat.S_IRGRP
        if not entry.st_mode & needed or entry.st_gid == 0:
            return None
        try:
            return grp.getgrgid(entry.st_gid).gr_name
        except KeyError:
            return None
    return None
