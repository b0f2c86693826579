"""Reads from the kernel which directories it watches for this process.

Linux only. The kernel's own list shows every directory without a watch: one that is reached over a symbolic link, one
that was unreadable when it appeared, or one over which another file system was mounted since.
"""

import os
import re

_WATCH_LINE = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)


class KernelWatches:
    """The directories that one inotify queue watched at one moment."""

    def __init__(self, descriptor: int) -> None:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            watches = [(int(inode, 16), int(device, 16)) for inode, device in _WATCH_LINE.findall(file.read())]
        self._watched = set(watches)
        self._inodes = {inode for inode, _ in watches}
        self._devices = {device for _, device in watches}

    def covers(self, directory: os.stat_result) -> bool:
        """Return whether the directory with this ``stat`` result is watched."""
        device = os.major(directory.st_dev) << 20 | os.minor(directory.st_dev)
        if device in self._devices:
            return (directory.st_ino, device) in self._watched
        return directory.st_ino in self._inodes  # on btrfs, stat shows another device number than the kernel's list
