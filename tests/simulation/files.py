"""The watched folders: what is there, how it changes, and the memory of every state that a file ever had."""

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
    """Real files, whose changes happen at the world's time and emit the events of the real system."""

    def __init__(self, world: "World", roots: list[str]) -> None:
        self.world = world
        self.roots = roots
        self.states: set[bytes] = set()
        self.finished: set[bytes] = set()
        """Those of the states that were there while nobody had the file open for writing."""
        self.disguised: set[bytes] = set()
        """Those that came with the size and the mtime of the state before."""
        self.writers: list[Writer | MappedWriter] = []
        self.lost: dict[str, str] = {}
        self.swapped: dict[str, str] = {}
        self._steps = 0
        self._stamped: dict[int, float] = {}
        for root in roots:
            os.mkdir(root)

    # What there is.

    def walk(self) -> Iterator[str]:
        """Yield the absolute paths of all regular files, in order, but for those that the daemon hides for a while."""
        for path in self._names(self.roots):
            if not os.path.basename(path).startswith(".syncd-") and stat.S_ISREG(os.lstat(path).st_mode):
                yield path

    def hidden(self) -> list[str]:
        """Return the absolute paths of what the daemon hides."""
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
        """Pick a folder that is there, watched or below a watched one."""
        roots = [root for root in self.roots if root not in self.lost]
        if not roots:
            return None
        root = rng.choice(roots)
        below = [os.path.join(root, name) for name in FOLDERS]
        return rng.choice([root, root, *(path for path in below if self.is_folder(path))])

    def is_folder(self, path: str) -> bool:
        """Say whether there is a folder at ``path``, in which no link has a part."""
        return os.path.isdir(path) and os.path.realpath(path) == path

    def any_place(self, rng: random.Random) -> str | None:
        """Pick a path for a file, which may be there already."""
        folder = self.any_folder(rng)
        return folder and os.path.join(folder, rng.choice(PLAIN if rng.random() < 0.7 else NAMES))

    # The time and the memory.

    def fingerprint(self, path: str | int) -> None:
        """Set the mtime to the world's clock, and remember what the file holds."""
        self._steps += 1
        now = int(self.world.wall() * 1e9) + self._steps
        inode = os.stat(path).st_ino
        os.utime(path, ns=(now, now))
        self.world.file_system.made(os.stat(path))
        self.remember(path)
        jumped = self.world.jumped
        before, self._stamped[inode] = self._stamped.get(inode, jumped), jumped
        if jumped < before:  # the clock was set back: in coarse times the change may look like the state before
            self.disguised.add(hashlib.sha256(contents(path)).digest())

    def remember(self, path: str | int) -> None:
        """Remember what the file holds."""
        state = hashlib.sha256(contents(path)).digest()
        self.states.add(state)
        inode = os.stat(path).st_ino
        if not any(writer.inode == inode for writer in self.writers):
            self.finished.add(state)

    def emit(self, *events: FileSystemEvent, within: str | None = None) -> None:
        """Tell whoever watches."""
        self.world.events.emit(*events, within=within)

    def write(self, path: str | None, data: bytes) -> str | None:
        """Write a file whole; a pipe or a link is left alone, and so is what has a lease."""
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
        """Put a lost folder where it was."""
        if away := self.lost.pop(root, None):
            if os.path.isdir(root):
                shutil.rmtree(root)  # what a daemon has written there is under the mount point
            os.rename(away, root)
            if self.world.rng.random() < 0.5:
                self.world.file_system.remount()

    def swap(self, path: str) -> str:
        """Move a folder away and leave a link to it; return where it is now."""
        away = os.path.join(self.world.outside, f"swapped-{len(os.listdir(self.world.outside))}")
        os.rename(path, away)
        os.symlink(away, path)
        self.swapped[path] = away
        self.emit(DirDeletedEvent(path), FileCreatedEvent(path))
        return away

    def swap_back(self, path: str) -> None:
        """Put a folder that was swapped where it was, unless its place is taken."""
        away = self.swapped.pop(path, None)
        if away is None or not os.path.isdir(away) or not os.path.isdir(os.path.dirname(path)):
            return
        if os.path.islink(path):
            os.unlink(path)
        if not os.path.lexists(path):
            os.rename(away, path)
            self.emit(DirCreatedEvent(path))

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
        for path in list(self.swapped):
            self.swap_back(path)
        for writer in list(self.writers):
            writer.close()
        for path in self.walk():
            os.chmod(path, 0o644)


def open_at_once(path: str, flags: int) -> int:
    """Open a file; BlockingIOError where a lease would have others wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)


def is_odd(path: str) -> bool:
    """Say whether there is something at ``path`` that is no file."""
    return os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode)


def contents(path: str | int) -> bytes:
    """Read a file whole; the position of an open one stays."""
    if isinstance(path, int):
        return os.pread(path, os.fstat(path).st_size, 0)
    with open(path, "rb") as file:
        return file.read()
