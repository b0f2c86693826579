"""The files of the watched folders, their changes, and a record of every state of a file."""

import hashlib
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
)

if TYPE_CHECKING:
    from tests.simulation.world import World
    from tests.simulation.writers import MappedWriter, Writer

NAMES = ("a.jpg", "b.jpg", "c.txt", "d.png", "E.JPG", "ü.jpg", os.fsdecode(b"\xff\n.jpg"), "x.part", ".h.jpg", "n.doc")
PLAIN = ("a.jpg", "b.jpg", "c.txt", "d.png")
FOLDERS = ("sub", "sub/deep", "other")


class Files:
    """Real files. Their changes happen at the world's time and emit the system's events."""

    def __init__(self, world: "World", roots: list[str]) -> None:
        self.world = world
        self.roots = roots
        self.states: set[bytes] = set()
        self.finished: set[bytes] = set()
        """The states that existed while no writer had the file open."""
        self.disguised: set[bytes] = set()
        """The states that have the size and the mtime of the state before."""
        self.writers: list[Writer | MappedWriter] = []
        self.lost: dict[str, str] = {}
        self.swapped: dict[str, str] = {}
        self._steps = 0
        self._stamped: dict[int, float] = {}
        for root in roots:
            os.mkdir(root)

    # Existing files.

    def walk(self) -> Iterator[str]:
        """Yield the absolute paths of all regular files that the daemon does not hide, in order."""
        for path in self._names(self.roots):
            if not os.path.basename(path).startswith(".syncd-") and stat.S_ISREG(os.lstat(path).st_mode):
                yield path

    def hidden(self) -> list[str]:
        """Return the absolute paths of the files that the daemon hides."""
        places = [*self.roots, self.world.target]
        return [path for path in self._names(places) if os.path.basename(path).startswith(".syncd-")]

    def _names(self, tops: list[str]) -> Iterator[str]:
        for top in tops:
            for directory, names, files in os.walk(top):
                names.sort()
                yield from (os.path.join(directory, name) for name in sorted(files))

    def any_file(self, rng: random.Random) -> str | None:
        """Pick a file, if there is one."""
        paths = list(self.walk())
        return rng.choice(paths) if paths else None

    def any_folder(self, rng: random.Random) -> str | None:
        """Pick an existing folder: a watched one, or one below it."""
        roots = [root for root in self.roots if root not in self.lost]
        if not roots:
            return None
        root = rng.choice(roots)
        below = [os.path.join(root, name) for name in FOLDERS]
        return rng.choice([root, root, *(path for path in below if self.is_folder(path))])

    def is_folder(self, path: str) -> bool:
        """Return whether ``path`` is a folder, and no part of it is a link."""
        return os.path.isdir(path) and os.path.realpath(path) == path

    def any_place(self, rng: random.Random) -> str | None:
        """Pick a path for a new or existing file."""
        folder = self.any_folder(rng)
        return folder and os.path.join(folder, rng.choice(PLAIN if rng.random() < 0.7 else NAMES))

    # Times and states.

    def fingerprint(self, path: str | int) -> None:
        """Set the mtime to the world's clock, and record the file's state."""
        self._steps += 1
        now = int(self.world.wall() * 1e9) + self._steps
        inode = os.stat(path).st_ino
        os.utime(path, ns=(now, now))
        self.world.file_system.made(os.stat(path))
        self.remember(path)
        jumped = self.world.jumped
        before, self._stamped[inode] = self._stamped.get(inode, jumped), jumped
        if jumped < before:  # after a step back the mtime may be that of the state before
            self.disguised.add(hashlib.sha256(contents(path)).digest())

    def remember(self, path: str | int) -> None:
        """Record the file's state."""
        state = hashlib.sha256(contents(path)).digest()
        self.states.add(state)
        inode = os.stat(path).st_ino
        if not any(writer.inode == inode for writer in self.writers):
            self.finished.add(state)

    def emit(self, *events: FileSystemEvent, within: str | None = None) -> None:
        """Send events to the observers."""
        self.world.events.emit(*events, within=within)

    def write(self, path: str | None, data: bytes) -> str | None:
        """Write a complete file; return None for a pipe, a link, or a file with a lease."""
        if path is None or is_odd(path):
            return None
        new = not os.path.lexists(path)
        try:
            with open(path, "wb", opener=open_at_once) as file:
                self.fingerprint(path)
                file.write(data)
        except BlockingIOError:
            return None
        self.fingerprint(path)
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
        """Rename a file, also over another file."""
        if source == target or os.path.isdir(target):
            return None
        os.replace(source, target)
        if self.world.rng.random() < 0.8:
            self.emit(FileMovedEvent(source, target))
        else:  # the system did not combine the two events of the rename
            self.emit(FileDeletedEvent(source), FileCreatedEvent(target))
        return target

    def change(self, rng: random.Random, change: Callable[[int, int], object]) -> str | None:
        """Open a file for writing, call ``change(descriptor, size)``, and close it."""
        path = self.any_file(rng)
        if path is None:
            return None
        try:
            fd = open_at_once(path, os.O_RDWR)
        except BlockingIOError:
            return None
        try:
            change(fd, os.fstat(fd).st_size)
            self.fingerprint(fd)
        finally:
            os.close(fd)
        self.emit(FileClosedEvent(path))
        return path

    def any_subfolder(self, rng: random.Random) -> str | None:
        """Pick a folder below a watched one."""
        roots = [root for root in self.roots if root not in self.lost]
        found = [os.path.join(root, name) for root in roots for name in ("sub", "other", "third")]
        found = [path for path in found if self.is_folder(path)]
        return rng.choice(found) if found else None

    def bring_back(self, root: str) -> None:
        """Move a lost folder back."""
        if away := self.lost.pop(root, None):
            if os.path.isdir(root):
                shutil.rmtree(root)  # files that the daemon wrote below the mount point
            os.rename(away, root)
            if self.world.rng.random() < 0.5:
                self.world.file_system.remount()

    def swap(self, path: str) -> str:
        """Move a folder away and leave a link to it; return its new path."""
        away = os.path.join(self.world.outside, f"swapped-{len(os.listdir(self.world.outside))}")
        os.rename(path, away)
        os.symlink(away, path)
        self.swapped[path] = away
        self.emit(DirDeletedEvent(path), FileCreatedEvent(path))
        return away

    def swap_back(self, path: str) -> None:
        """Move a swapped folder back, unless its path is taken."""
        away = self.swapped.pop(path, None)
        if away is None or not os.path.isdir(away) or not os.path.isdir(os.path.dirname(path)):
            return
        if os.path.islink(path):
            os.unlink(path)
        if not os.path.lexists(path):
            os.rename(away, path)
            self.emit(DirCreatedEvent(path))

    def watched_name(self, path: str) -> str:
        """Return the former path of a path within a folder that is away."""
        for root, away in self.lost.items():
            if path.startswith(f"{away}/"):
                return root + path.removeprefix(away)
        return path

    # The end of all faults.

    def heal(self) -> None:
        """Close open files, bring back lost folders, and make all files readable."""
        for root in list(self.lost):
            self.bring_back(root)
        for path in list(self.swapped):
            self.swap_back(path)
        for writer in list(self.writers):
            writer.close()
        for path in self.walk():
            os.chmod(path, 0o644)


def open_at_once(path: str, flags: int) -> int:
    """Open a file; BlockingIOError if a lease would make the caller wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def is_odd(path: str) -> bool:
    """Return whether ``path`` exists and is not a regular file."""
    return os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode)


def contents(path: str | int) -> bytes:
    """Return all bytes of a file; an open file keeps its position."""
    if isinstance(path, int):
        return os.pread(path, os.fstat(path).st_size, 0)
    with open(path, "rb") as file:
        return file.read()
