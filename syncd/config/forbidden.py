"""A configuration that this user may not read: who may, and how to become one of them."""

import os
import stat
import sys
from pathlib import Path

from syncd.config.errors import ForbiddenError, Problem

if sys.platform == "win32":

    def _ways(_path: Path) -> list[str]:
        return ["ask as an administrator"]
else:
    import grp
    import pwd

    def _ways(path: Path) -> list[str]:
        group = _group_that_may(path)
        join = f"join its group (sudo usermod -aG {group} {_own_name()}, then log in again)"
        return ["ask with sudo", join] if group else ["ask with sudo"]

    def _group_that_may(path: Path) -> str | None:
        """Name the group that whatever keeps this user out lets in; None if there is none but root's."""
        for place in (path, *path.parents):
            try:
                entry = place.stat()
            except OSError:
                continue  # what is above it keeps us out
            needed = stat.S_IXGRP if stat.S_ISDIR(entry.st_mode) else stat.S_IRGRP
            if not entry.st_mode & needed or entry.st_gid == 0:
                return None
            try:
                return grp.getgrgid(entry.st_gid).gr_name
            except KeyError:
                return None
        return None

    def _own_name() -> str:
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return str(os.geteuid())


def forbidden(path: Path) -> ForbiddenError:
    """Return the error for a configuration file that is kept from this user, as is the folder that it is in maybe."""
    message = f"may not be read by you — {', '.join(_ways(path))}, or name another with -c"
    return ForbiddenError(Problem(file=str(path), message=message))
