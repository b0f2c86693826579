"""The current user and its rights; root can take another user's rights for a while."""

import getpass
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd

LINGER = Path("/var/lib/systemd/linger")
"""Folder with a file for each user whose services run without a session."""


def exists(name: str) -> bool:
    """Return whether the user exists and root could take its rights; always False on Windows."""
    if sys.platform == "win32":
        return False
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_root() -> bool:
    """Return whether this process can take another user's rights."""
    return sys.platform != "win32" and os.geteuid() == 0


def own_name() -> str:
    """Return the name of the effective user, or its number if it has no name."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def owns(info: os.stat_result) -> bool:
    """Return whether this user owns the file; always True on Windows, where access control lists decide."""
    return sys.platform == "win32" or info.st_uid == os.geteuid()


def suffixed(name: str) -> str:
    """Return a name in the temporary folder that differs for each user; Windows has a folder per user."""
    return name if sys.platform == "win32" else f"{name}-{os.geteuid()}"


def may(path: str | os.PathLike[str], mode: int) -> bool:
    """Return whether the effective user has access to a file; ``mode`` as for :func:`os.access`."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)  # Windows has no effective IDs


def granting(rights: str, path: str | os.PathLike[str]) -> str:
    """Return the command that gives the effective user ``r``, ``rx`` or ``rwx`` rights on a file."""
    if os.fspath(path) == os.sep:  # an ACL on / would restrict all other users
        return "choose another folder" if "w" in rights else "sudo chmod o+rx /"
    if sys.platform == "win32":
        return f'icacls "{os.fspath(path)}" /grant "{own_name()}:{ {"r": "R", "rx": "RX", "rwx": "M"}[rights] }"'
    return f"sudo setfacl -m u:{own_name()}:{rights} {os.fspath(path)}"


def making(path: str | os.PathLike[str]) -> str:
    """Return the command that creates a folder for the effective user, with all folders above."""
    if sys.platform == "win32":
        return f'mkdir "{os.fspath(path)}" as an administrator, then {granting("rwx", path)}'
    return f"sudo install -d -o {own_name()} -m 700 {os.fspath(path)}"


def belongs_to(group: str) -> bool:
    """Return whether the effective user is a member of a group."""
    if sys.platform == "win32":
        return False
    return grp.getgrnam(group).gr_gid in {os.getegid(), *os.getgroups()}


def lingers() -> bool:
    """Return whether systemd runs this user's services without a login session."""
    return (LINGER / own_name()).exists()


@contextmanager
def rights_of(name: str, *more: str) -> Generator[None]:
    """Take the rights of user ``name``, of its groups and of ``more`` groups, in all threads. Requires root.

    Raises KeyError for an unknown user or group.
    """
    wanted, groups, group = pwd.getpwnam(name), os.getgroups(), os.getegid()
    os.setgroups([*os.getgrouplist(name, wanted.pw_gid), *(grp.getgrnam(other).gr_gid for other in more)])
    os.setegid(wanted.pw_gid)
    os.seteuid(wanted.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
