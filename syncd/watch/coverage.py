"""Which directories the kernel watches for a process, as it tells itself: what no list of our own can get wrong.

Linux only. A directory has no watch if the folder is reached over a symbolic link, if it could not be read when it
appeared, or if another file system was mounted over it since.
"""

import os
import re
import sys

_WATCH = re.compile(r"^inotify wd:\S+ ino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)


class Coverage:
    """The directories that one inotify queue watched at a moment."""

    def __init__(self, descriptor: int) -> None:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            told = [(int(inode, 16), int(device, 16)) for inode, device in _WATCH.findall(file.read())]
        self._watched = set(told)
        self._inodes = {inode for inode, _ in told}
        self._devices = {device for _, device in told}

    def covers(self, directory: os.stat_result) -> bool:
        """Say whether the directory with this status is watched."""
        if sys.platform == "win32":
            raise NotImplementedError
        device = os.major(directory.st_dev) << 20 | os.minor(directory.st_dev)
        if device in self._devices:
            return (directory.st_ino, device) in self._watched
        return directory.st_ino in self._inodes  # btrfs shows another device number than the kernel has
