"""Writers that change a file over some time."""

import mmap
import os
import random

from watchdog.events import FileClosedEvent, FileCreatedEvent

from tests.simulation.files import Files, open_at_once

BRIEF = (0.05, 0.5, 3.0)
LONG = (3.0, 8.0, 20.0)
"""Longest pause of a writer in seconds, as with scp, FTP, scanners and cameras."""


class Writer:
    """Writes a file in parts. BlockingIOError if the file has a lease."""

    def __init__(self, files: Files, path: str, rng: random.Random, *, keep: bool = False) -> None:
        self._files = files
        self._rng = rng
        self._fd = -1
        self._left = rng.randint(1, 4)
        self._pause = rng.choice(BRIEF if rng.random() < 0.6 else LONG)
        new = not os.path.lexists(path)
        mode = os.O_RDWR | os.O_CREAT | (0 if keep else rng.choice([os.O_TRUNC, 0]))
        self._fd = open_at_once(path, mode)
        self.inode = os.fstat(self._fd).st_ino
        if not keep:
            files.fingerprint(self._fd)
        files.writers.append(self)
        if new:
            files.emit(FileCreatedEvent(path))
        self._go_on()

    def _go_on(self) -> None:
        self._files.world.after(self._rng.uniform(0, self._pause), self._write)

    def _write(self) -> None:
        if self._fd < 0:
            return
        if self._left == 0:
            self.close()
            return
        self._left -= 1
        size = os.fstat(self._fd).st_size
        at = self._rng.choice([size, self._rng.randint(0, size)])
        os.pwrite(self._fd, self._rng.randbytes(self._rng.randint(1, 4000)), at)
        self._files.fingerprint(self._fd)
        self._go_on()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            path = os.readlink(f"/proc/self/fd/{self._fd}")  # the file may have been renamed
            self._files.writers.remove(self)
            self._files.remember(self._fd)
            os.close(self._fd)
            self._fd = -1
            if os.path.lexists(path):
                self._files.emit(FileClosedEvent(self._files.watched_name(path)), within=os.path.dirname(path))


class MappedWriter:
    """Writes through a memory map of a closed file: only the first write changes the mtime."""

    def __init__(self, files: Files, path: str, rng: random.Random) -> None:
        self._files = files
        self._rng = rng
        self._left = rng.randint(1, 4)
        descriptor = open_at_once(path, os.O_RDWR)
        self.inode = os.fstat(descriptor).st_ino
        self._map: mmap.mmap | None = mmap.mmap(descriptor, 0)
        self._copy = os.open(path, os.O_RDONLY)
        os.close(descriptor)
        files.emit(FileClosedEvent(path))
        files.writers.append(self)
        self._write(first=True)

    def _write(self, *, first: bool = False) -> None:
        if self._map is None:
            return
        left = min(len(self._map), os.fstat(self._copy).st_size)  # a write beyond the end would kill the process
        if self._left == 0 or left == 0:
            self.close()
            return
        self._left -= 1
        before = os.fstat(self._copy).st_mtime_ns
        size = self._rng.randint(1, left)
        at = self._rng.randint(0, left - size)
        self._map[at : at + size] = self._rng.randbytes(size)
        if first:
            self._files.fingerprint(self._copy)
        else:
            os.utime(self._copy, ns=(before, before))
            self._files.remember(self._copy)
        self._files.world.after(self._rng.uniform(0, self._rng.choice(LONG)), self._write)

    def close(self) -> None:
        """Close the map; no event reports that."""
        if self._map is not None:
            self._files.writers.remove(self)
            self._files.remember(self._copy)
            self._map.close()
            os.close(self._copy)
            self._map = None
