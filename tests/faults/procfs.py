"""Reads the memory, threads and open files of a process from /proc."""

import os
from pathlib import Path


def kib(process, field):
    """Return a size of ``/proc/PID/status`` in KiB, as VmRSS or VmHWM (its highest)."""
    lines = Path(f"/proc/{process.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def threads(process):
    return len(os.listdir(f"/proc/{process.child.pid}/task"))


def descriptors(process):
    """Return the targets of the open descriptors; for sockets and pipes only their kind."""
    found = []
    folder = f"/proc/{process.child.pid}/fd"
    for number in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{number}")
        except FileNotFoundError:
            continue  # closed after the listing
        found.append(target.split(":")[0] if target.startswith(("socket", "pipe")) else target)
    return sorted(found)
