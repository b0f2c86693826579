"""The Unix twin of :mod:`syncd.platform.windows.user`: the effective user and its rights."""

import grp
import os
import pwd
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

assert sys.platform != "win32"

LINGER = Path("/var/lib/systemd/linger")
"""Folder with a file for each user whose services run without a session."""


def exists(name: str) -> bool:
    """Return whether the user exists, so that root can take its rights."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_root() -> bool:
    """Return whether this process can take another user's rights."""
    return os.geteuid() == 0


def uid() -> int | None:
    """Return the number of the effective user."""
    return os.geteuid()


def own_name() -> str:
    """Return the name of the effective user, or its number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def owns(info: os.stat_result) -> bool:
    """Return whether the effective user owns the file."""
    return info.st_uid == os.geteuid()


def per_user_name(name: str) -> str:
    """Return a name in the shared temporary folder that differs for each user."""
    return f"{name}-{os.geteuid()}"


def grant_command(rights: str, path: str | os.PathLike[str]) -> str:
    """Return the command that gives the effective user rights (``r``, ``rx`` or ``rwx``)."""
    if os.fspath(path) == os.sep:  # an ACL on / would restrict all other users
        return "choose another folder" if "w" in rights else "sudo chmod o+rx /"
    return f"sudo setfacl -m u:{own_name()}:{rights} {os.fspath(path)}"


def mkdir_command(path: str | os.PathLike[str]) -> str:
    """Return the command that creates a folder for the effective user, with all folders above."""
    return f"sudo install -d -o {own_name()} -m 700 {os.fspath(path)}"


def group_id(name: str) -> int | None:
    """Return the number of a group. Raises KeyError if there is no such group."""
    return grp.getgrnam(name).gr_gid


def belongs_to(group: str) -> bool:
    """Return whether the effective user is a member of a group.

    Raises KeyError if there is no such group.
    """
    return grp.getgrnam(group).gr_gid in {os.getegid(), *os.getgroups()}


def lingers() -> bool:
    """Return whether systemd runs this user's services without a login session."""
    return (LINGER / own_name()).exists()


@contextmanager
def rights_of(name: str, *more: str) -> Generator[None]:
    """Take the rights of user ``name``, its groups and ``more`` groups, in all threads.

    Requires root. Raises KeyError for an unknown user or group.
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
