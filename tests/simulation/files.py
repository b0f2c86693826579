"""The watched folders: what is there, how it changes, and the memory of every state that a file ever had."""

import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
)

if TYPE_CHECKING:
    from tests.simulation.world import World

NAMES = ("a.jpg", "b.jpg", "c.txt", "d.png", "E.JPG", "ü.jpg", os.fsdecode(b"\xff\n.jpg"), "x.part", ".h.jpg", "n.doc")
PLAIN = ("a.jpg", "b.jpg", "c.txt", "d.png")
FOLDERS = ("sub", "sub/deep", "other")


def matches(name: str) -> bool:
    """Say whether a file of this name is to be uploaded, by the patterns of the simulation's configuration."""
    return not name.startswith(".") and name.lower().endswith((".jpg", ".txt", ".png"))


class Files:
    """Real files, whose changes happen at the world's time and are told as the system tells them."""

    def __init__(self, world: "World", roots: list[str]) -> None:
        self.world = world
        self.roots = roots
        self.states: set[bytes] = set()
        self.writers: list[Writer] = []
        self.lost: dict[str, str] = {}
        self._steps = 0
        for root in roots:
            os.mkdir(root)

    # What there is.

    def walk(self) -> Iterator[str]:
        """Yield the absolute paths of all regular files, in order."""
        for root in self.roots:
            for directory, names, files in os.walk(root):
                names.sort()
                for name in sorted(files):
                    path = os.path.join(directory, name)
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        yield path

    def any_file(self, rng: random.Random) -> str | None:
        """Pick a file, if there is one."""
        paths = list(self.walk())
        return rng.choice(paths) if paths else None

    def any_folder(self, rng: random.Random) -> str | None:
        """Pick a folder that is there, watched or below a watched one."""
        roots = [root for root in self.roots if root not in self.lost]
        if not roots:
            return None
        root = rng.choice(roots)
        below = [os.path.join(root, name) for name in FOLDERS]
        return rng.choice([root, root, *(path for path in below if os.path.isdir(path))])

    def any_place(self, rng: random.Random) -> str | None:
        """Pick a path for a file, which may be there already."""
        folder = self.any_folder(rng)
        return folder and os.path.join(folder, rng.choice(PLAIN if rng.random() < 0.7 else NAMES))

    # The time and the memory.

    def stamp(self, path: str | int) -> None:
        """Set the mtime to the world's clock, and remember what the file holds."""
        self._steps += 1
        now = int(self.world.wall() * 1e9) + self._steps
        os.utime(path, ns=(now, now))
        self.remember(path)

    def remember(self, path: str | int) -> None:
        """Remember what the file holds."""
        self.states.add(hashlib.sha256(contents(path)).digest())

    def emit(self, *events: FileSystemEvent, within: str | None = None) -> None:
        """Tell whoever watches."""
        self.world.events.emit(*events, within=within)

    def write(self, path: str | None, data: bytes) -> str | None:
        """Write a file whole; a pipe or a link is left alone."""
        if path is None or is_odd(path):
            return None
        new = not os.path.lexists(path)
        with open(path, "wb") as file:
            self.stamp(path)
            file.write(data)
        self.stamp(path)
        self.emit(*([FileCreatedEvent(path)] if new else []), FileClosedEvent(path))
        return path

    def data(self, rng: random.Random) -> bytes:
        """Make up the content of a file."""
        size = rng.choice([0, 1, 50, rng.randint(2, 3000), rng.randint(2, 3000), rng.randint(2, 20000)])
        size = size if rng.random() < 0.93 else rng.randint(20000, 120000)
        if rng.random() < 0.3:
            return bytes(rng.choices(b"8 ,.\n", k=min(size, 5000)))
        return rng.randbytes(size)

    def move(self, source: str, target: str) -> str | None:
        """Rename a file, over another if need be."""
        if source == target or os.path.isdir(target):
            return None
        os.replace(source, target)
        if self.world.rng.random() < 0.8:
            self.emit(FileMovedEvent(source, target))
        else:  # the two halves did not find each other
            self.emit(FileDeletedEvent(source), FileCreatedEvent(target))
        return target

    def change(self, rng: random.Random, change: Callable[[int, int], object]) -> str | None:
        """Open some file for writing, have ``change(descriptor, size)`` done to it, and close it."""
        path = self.any_file(rng)
        if path is None:
            return None
        fd = os.open(path, os.O_RDWR)
        try:
            change(fd, os.fstat(fd).st_size)
            self.stamp(fd)
        finally:
            os.close(fd)
        self.emit(FileClosedEvent(path))
        return path

    def any_subfolder(self, rng: random.Random) -> str | None:
        """Pick a folder below a watched one."""
        roots = [root for root in self.roots if root not in self.lost]
        found = [os.path.join(root, name) for root in roots for name in ("sub", "other", "third")]
        found = [path for path in found if os.path.isdir(path)]
        return rng.choice(found) if found else None

    def bring_back(self, root: str) -> None:
        """Put a lost folder where it was."""
        if away := self.lost.pop(root, None):
            if os.path.isdir(root):
                os.rmdir(root)
            os.rename(away, root)

    def watched_name(self, path: str) -> str:
        """Return the name under which the system knows a path of a folder that is away: the one it had."""
        for root, away in self.lost.items():
            if path.startswith(f"{away}/"):
                return root + path.removeprefix(away)
        return path

    # The end of all trouble.

    def heal(self) -> None:
        """Close what is open, bring back what is away, make all readable."""
        for root in list(self.lost):
            self.bring_back(root)
        for writer in list(self.writers):
            writer.close()
        for path in self.walk():
            os.chmod(path, 0o644)


class Writer:
    """Somebody who writes a file bit by bit."""

    def __init__(self, files: Files, path: str, rng: random.Random) -> None:
        self._files = files
        self._rng = rng
        self._fd = -1
        self._left = rng.randint(1, 4)
        self._pause = rng.choice([0.05, 0.5, 3.0])
        new = not os.path.lexists(path)
        mode = os.O_RDWR | os.O_CREAT | rng.choice([os.O_TRUNC, 0])
        self._fd = os.open(path, mode, 0o644)
        files.stamp(self._fd)
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
        self._files.stamp(self._fd)
        self._go_on()

    def close(self) -> None:
        """Have done with it."""
        if self._fd >= 0:
            path = os.readlink(f"/proc/self/fd/{self._fd}")  # it may have been renamed
            os.close(self._fd)
            self._fd = -1
            self._files.writers.remove(self)
            if os.path.lexists(path):
                self._files.emit(FileClosedEvent(self._files.watched_name(path)), within=os.path.dirname(path))


def is_odd(path: str) -> bool:
    """Say whether there is something at ``path`` that is no file."""
    return os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode)


def contents(path: str | int) -> bytes:
    """Read a file whole; the position of an open one stays."""
    if isinstance(path, int):
        return os.pread(path, os.fstat(path).st_size, 0)
    with open(path, "rb") as file:
        return file.read()
