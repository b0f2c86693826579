"""The Windows twin of :mod:`syncd.platform.posix.user`.

Windows has access control lists instead of user and group numbers.
"""

import getpass
import os
import sys
from contextlib import AbstractContextManager

assert sys.platform == "win32"

_ICACLS_RIGHTS = {"r": "R", "rx": "RX", "rwx": "M"}


def exists(_name: str) -> bool:
    """Return False: a process cannot take another user's rights."""
    return False


def is_root() -> bool:
    """Return False: a process cannot take another user's rights."""
    return False


def uid() -> int | None:
    """Return None: users have no numbers."""
    return None


def own_name() -> str:
    """Return the name of the user."""
    return getpass.getuser()


def owns(_info: os.stat_result) -> bool:
    """Return True: the result of ``stat`` does not name the owner."""
    return True


def per_user_name(name: str) -> str:
    """Return ``name``: each user has a temporary folder."""
    return name


def grant_command(rights: str, path: str | os.PathLike[str]) -> str:
    """Return the command that gives the user ``r``, ``rx`` or ``rwx`` rights on a file."""
    return f'icacls "{os.fspath(path)}" /grant "{own_name()}:{_ICACLS_RIGHTS[rights]}"'


def mkdir_command(path: str | os.PathLike[str]) -> str:
    """Return the command that creates a folder for the user, with all folders above."""
    return f'mkdir "{os.fspath(path)}" as an administrator, then {grant_command("rwx", path)}'


def group_id(_name: str) -> int | None:
    """Return None: groups have no numbers."""
    return None


def belongs_to(_group: str) -> bool:
    """Return False: groups have no numbers."""
    return False


def lingers() -> bool:
    """Return False: there is no systemd."""
    return False


def rights_of(name: str, *_more: str) -> AbstractContextManager[None]:
    """Raise KeyError: :func:`exists` returns False for all users."""
    raise KeyError(name)
