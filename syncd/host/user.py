"""To look at files with another user's rights, which root may for as long as a question takes."""

import os
import pwd
from collections.abc import Generator
from contextlib import contextmanager


def exists(name: str) -> bool:
    """Whether this machine has such a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def own_name() -> str:
    """Return the name of the user whose rights count now, or the number where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextmanager
def rights_of(name: str) -> Generator[None]:
    """Have the rights of user ``name`` and its groups, in all threads. Only root can; KeyError for nobody."""
    wanted, groups, group = pwd.getpwnam(name), os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(name, wanted.pw_gid))
    os.setegid(wanted.pw_gid)
    os.seteuid(wanted.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
