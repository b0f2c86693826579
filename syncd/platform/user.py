"""To look at files with another user's rights, which root may for as long as a question takes."""

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
"""Has a file for each user whose services outlast the session."""


def exists(name: str) -> bool:
    """Whether this machine has such a user whose rights could be had; on Windows there is none."""
    if sys.platform == "win32":
        return False
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_root() -> bool:
    """Whether this process may take another user's rights."""
    return sys.platform != "win32" and os.geteuid() == 0


def own_name() -> str:
    """Return the name of the user whose rights count now, or the number where it has none."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def may(path: str | os.PathLike[str], mode: int) -> bool:
    """Whether the user whose rights count now may do that to a file, by ``mode`` as for :func:`os.access`."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)  # Windows has no others


def granting(rights: str, path: str | os.PathLike[str]) -> str:
    """Return the command that gives the user whose rights count now ``r``, ``rx`` or ``rwx`` on a file."""
    if os.fspath(path) == os.sep:  # a list of rights on it would hold for one user what must hold for all
        return "choose another folder" if "w" in rights else "sudo chmod o+rx /"
    if sys.platform == "win32":
        return f'icacls "{os.fspath(path)}" /grant "{own_name()}:{ {"r": "R", "rx": "RX", "rwx": "M"}[rights] }"'
    return f"sudo setfacl -m u:{own_name()}:{rights} {os.fspath(path)}"


def making(path: str | os.PathLike[str]) -> str:
    """Return the command that makes a folder for the user whose rights count now, whatever is above it."""
    if sys.platform == "win32":
        return f'mkdir "{os.fspath(path)}" as an administrator, then {granting("rwx", path)}'
    return f"sudo install -d -o {own_name()} -m 700 {os.fspath(path)}"


def belongs_to(group: str) -> bool:
    """Whether the user whose rights count now is a member of a group of this machine."""
    if sys.platform == "win32":
        return False
    return grp.getgrnam(group).gr_gid in {os.getegid(), *os.getgroups()}


def lingers() -> bool:
    """Whether systemd runs this user's services also while the user is not logged in."""
    return (LINGER / own_name()).exists()


@contextmanager
def rights_of(name: str, *more: str) -> Generator[None]:
    """Have the rights of user ``name`` and its groups, and of ``more`` groups, in all threads. Only root can.

    KeyError for nobody.
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
