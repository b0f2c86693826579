"""Simulated file systems: reused inode numbers, coarse times, birth times, devices.

The files are real. Only the results of ``stat`` change, and only for the daemon and the invariants.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECOND = 1_000_000_000
LOWEST = 11
"""The first inode number that a file gets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSystemProperties:
    """The properties of a file system. ``granularity`` is the step of its times in ns.

    ``reuses``: a new file gets the lowest free inode number, as on ext4. ``births``: it records birth times.
    ``leases``: it reports whether a file has a writer. ``exclusive_rename``: it can rename to a free name in one step.
    """

    reuses: bool = False
    granularity: int = 1
    births: bool = True
    leases: bool = True
    exclusive_rename: bool = True


class FileSystem:
    """The inode numbers and times of the files in ``directory``. ``wall`` is the wall clock."""

    def __init__(self, properties: FileSystemProperties, directory: str, wall: Callable[[], float]) -> None:
        self.properties = properties
        self.device = 40
        self.disk: str | None = None
        """A mount point in ``directory`` with another device number, or None."""
        self.mounted = True
        self._directory = directory
        self._wall = wall
        self._real_device = os.stat(directory).st_dev
        self._numbers: dict[int, int] = {}
        self._births: dict[int, int] = {}
        self._next = LOWEST

    def made(self, status: os.stat_result) -> None:
        """Record a file; a new one gets its inode number and its birth time now."""
        if status.st_ino not in self._numbers:
            self._numbers[status.st_ino] = self._free_number()
            self._births[status.st_ino] = self.rounded(int(self._wall() * SECOND))

    def rounded(self, ns: int) -> int:
        """Return a time as the file system keeps it."""
        return ns - ns % self.properties.granularity

    def stat(self, path: str) -> os.stat_result:
        """Return the simulated status of the file at ``path``; follows no link."""
        return self.shown(os.lstat(path), path)

    def birth_ns(self, status: os.stat_result) -> int | None:
        """Return the birth time of a file by its real status, or None if it is not recorded."""
        self.made(status)
        return self._births[status.st_ino] if self.properties.births else None

    def shown(self, status: os.stat_result, where: str | bytes | int) -> os.stat_result:
        """Return the simulated status of a file by its real status and its path or descriptor."""
        if status.st_dev != self._real_device:
            return status
        inode, mtime = status.st_ino, status.st_mtime_ns
        if stat.S_ISREG(status.st_mode):
            self.made(status)
            inode, mtime = self._numbers[inode], self.rounded(mtime)
        whole_seconds = int(mtime // SECOND)
        values = [status.st_mode, inode, self.device_of(where), *status[3:8], whole_seconds, whole_seconds]
        values += [status.st_atime, mtime / SECOND, mtime / SECOND, status.st_atime_ns, mtime, mtime]
        return os.stat_result([*values, status.st_blksize, status.st_blocks, status.st_rdev])

    def on_disk(self, path: str) -> bool:
        """Return whether a path is on the other file system when that is mounted."""
        return self.disk is not None and f"{path}/".startswith((f"{self.disk}/", f"{self.disk}-"))

    def remount(self) -> None:
        """Give the device another number, as the next mount does."""
        self.device += 1

    def device_of(self, where: str | bytes | int) -> int:
        """Return the number of the device that a path or a descriptor is on."""
        if self.disk is None:
            return self.device
        path = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else os.fsdecode(where)
        away = path.startswith(f"{self.disk}-away")
        return 1000 if self.on_disk(path) and (self.mounted or away) else self.device

    def _free_number(self) -> int:
        if self.properties.reuses:
            used = {self._numbers[inode] for inode in self._present() if inode in self._numbers}
            return next(number for number in range(LOWEST, LOWEST + len(used) + 1) if number not in used)
        self._next += 1
        return self._next

    def _present(self) -> Iterator[int]:
        """Yield the real numbers of the files that have a name, or are open."""
        for name in os.listdir("/proc/self/fd"):
            try:
                yield os.fstat(int(name)).st_ino
            except OSError:  # the listing's own
                continue
        ahead = [self._directory]
        while ahead:
            with os.scandir(ahead.pop()) as entries:
                for entry in entries:
                    yield entry.inode()
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(entry.path)
