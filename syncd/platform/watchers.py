"""Announces watched directories, and finds other daemons that watch a directory, on Linux.

For each directory, a daemon binds an abstract Unix socket whose name contains the directory. No process connects to the
socket: every process can list its name, and the kernel removes the socket with the process. A lock on the directory
would need an open descriptor, which would prevent unmounting. Daemons in other network namespaces, as in most
containers, are invisible.
"""

import os
import re
import secrets
import socket
import sys
from pathlib import Path

LISTED = Path("/proc/net/unix")
_NAME = re.compile(r"@syncd-watches:(?P<directory>\d+:\d+):(?P<pid>\d+):(?P<state>\d+:\d+):[0-9a-f]+$", re.MULTILINE)


def announce_watch(directory: os.stat_result, state: os.stat_result) -> socket.socket | None:
    """Announce that the daemon of a state folder watches a directory.

    The announcement ends when the returned socket is closed. Returns None if that is not possible.
    """
    if sys.platform != "linux":
        return None
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    name = f"syncd-watches:{_number(directory)}:{os.getpid()}:{_number(state)}:{secrets.token_hex(4)}"
    try:
        mark.bind(f"\0{name}")
    except OSError:
        mark.close()
        return None
    return mark


def other_watchers(directory: os.stat_result, state: os.stat_result | None) -> list[int]:
    """Return the pids of daemons with another state folder that watch a directory."""
    try:
        listed = LISTED.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    own = None if state is None else _number(state)
    found = (match for match in _NAME.finditer(listed) if match["directory"] == _number(directory))
    return sorted({int(match["pid"]) for match in found if match["state"] != own})


def _number(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"
