"""Checks promise 8 at each removal: whether the daemon may delete or move the file now.

A local file is deleted or moved only after its bytes, re-read while no process has it open for writing, match the
content that every remote of its folder has confirmed, under the configuration in force at that moment.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.files import contents
from tests.simulation.selection import folder_of, problem_of_selection

if TYPE_CHECKING:
    from tests.simulation.world import World

HIDDEN = ".syncd-"
"""The prefix of the names that the daemon gives to files while it removes them."""
BELIEVED = 3600.0
"""Seconds for which a server's confirmation is valid."""
JUST_NOW = 5.0
"""Longest time in seconds from a server's new answer to the removal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A name in a directory, as an argument of a call.

    ``place`` is its path without links; ``path`` and ``dir_fd`` are the call's arguments.
    """

    place: str
    path: Any
    dir_fd: int | None

    @property
    def hidden(self) -> bool:
        return os.path.basename(self.place).startswith(HIDDEN)

    def status(self) -> os.stat_result | None:
        """Return the status of the entry, or None."""
        try:
            return os.stat(self.path, dir_fd=self.dir_fd, follow_symlinks=False)
        except OSError:
            return None

    def data(self) -> bytes:
        """Read the file."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.dir_fd)
        try:
            return contents(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A file that the daemon deleted or moved."""

    place: str
    data: bytes
    mtime_ns: int
    remotes: tuple[str, ...]


class Removals:
    """Records the files that the daemon has hidden, and those that it has removed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._hidden: dict[int, str] = {}
        self._own: set[int] = set()
        self._restored: set[int] = set()
        """Files that got a visible name again, even if that has changed since."""
        self.taken: list[Taken] = []

    def concern(self, place: str) -> bool:
        """Return whether a place belongs to the user's files."""
        return place.startswith(self._world.users_places)

    def origin(self, entry: Entry) -> str:
        """Return the path of the file for the user."""
        status = entry.status() if entry.hidden else None
        return self._hidden.get(status.st_ino, entry.place) if status else entry.place

    # Actions of the daemon. Each method returns a check to run after the action.

    def opening(self, place: str, flags: int) -> None:
        """The daemon opens a file for writing, or creates it."""
        self._check_mounted(place)
        if os.path.lexists(place) and not flags & os.O_EXCL and not os.path.basename(place).startswith(HIDDEN):
            self._report(f"{place!r} is opened for writing")

    def unlinking(self, entry: Entry) -> Callable[[], None]:
        """A name is removed."""
        status = entry.status()
        if status is None:
            return _nothing
        inode = status.st_ino
        if inode in self._own and inode not in self._hidden and (entry.hidden or status.st_size == 0):
            return _nothing  # the daemon's own file, during a move or to reserve a name
        origin = self._hidden.get(inode, entry.place) if entry.hidden else entry.place
        again = entry.hidden and inode in self._restored
        if again or any(place != entry.place and _inode(place) == inode for place in self._names(inode, origin, entry)):
            return lambda: self._settled(entry, inode)
        if not stat.S_ISREG(status.st_mode):
            return lambda: self._report(f"{entry.place!r} is deleted, and is no regular file")
        data = entry.data()
        if entry.place.startswith(f"{self._world.target}/"):
            return lambda: self._check_copy(entry.place, data)
        return lambda: self._check(origin, status, data)

    def renaming(self, source: Entry, target: Entry) -> Callable[[], None]:
        """A name is changed."""
        status, replaced = source.status(), target.status()
        if status is None:
            return _nothing
        self._check_devices(source, target)
        origin = self.origin(source)
        if replaced and replaced.st_ino not in (status.st_ino, *self._own) and not target.hidden:
            return lambda: self._report(f"{target.place!r} is replaced by {source.place!r}")
        if target.place.startswith(f"{self._world.target}/") and not source.place.startswith(self._world.target):
            data = source.data()
            return lambda: self._check(origin, status, data)
        return lambda: self._renamed(origin, status.st_ino, target)

    def linking(self, source: Entry, target: Entry) -> Callable[[], None]:
        """A name is added."""
        status = source.status()
        if status is None:
            return _nothing
        self._check_devices(source, target)
        origin = self.origin(source)
        return lambda: self._linked(origin, status.st_ino, target)

    def made(self, inode: int) -> None:
        """The daemon created a file."""
        self._own.add(inode)

    def _linked(self, origin: str, inode: int, target: Entry) -> None:
        if target.hidden:
            self._renamed(origin, inode, target)
        elif not target.place.startswith(f"{self._world.target}/"):
            self._restored.add(inode)

    def _settled(self, entry: Entry, inode: int) -> None:
        """Another name remains; if it is the user's, the file is no longer hidden."""
        if entry.hidden:
            self._hidden.pop(inode, None)
            self._restored.discard(inode)

    def _renamed(self, origin: str, inode: int, target: Entry) -> None:
        if not target.hidden:
            self._hidden.pop(inode, None)
            return
        self._hidden[inode] = origin
        if not any(folder_of(settings, origin) for settings in self._world.in_force):
            self._report(f"{origin!r} is hidden, and is outside of all folders")

    def _names(self, inode: int, origin: str, entry: Entry) -> Iterator[str]:
        """Yield the names under which the file may still exist."""
        yield origin
        above, name = os.path.split(origin)
        stem, suffix = os.path.splitext(name)
        numbered = re.compile(f"{re.escape(stem)}-[0-9]+{re.escape(suffix)}", re.DOTALL)
        for other in os.listdir(above) if inode in self._hidden and os.path.isdir(above) else ():
            if (other.startswith(HIDDEN) and not entry.hidden) or numbered.fullmatch(other):
                yield os.path.join(above, other)

    def _check_devices(self, source: Entry, target: Entry) -> None:
        file_system = self._world.file_system
        self._check_mounted(target.place)
        if file_system.on_disk(source.place) != file_system.on_disk(target.place):
            raise OSError(18, "Invalid cross-device link")

    def _check_mounted(self, place: str) -> None:
        file_system = self._world.file_system
        if not file_system.mounted and self._world.seen_mounted and place.startswith(f"{file_system.disk}/"):
            self._report(f"{place!r} is made where a file system is not mounted")

    # The checks of a removal.

    def _check(self, place: str, status: os.stat_result, data: bytes) -> None:
        """A file is gone from ``place``: check that the removal was allowed."""
        world = self._world
        self._hidden.pop(status.st_ino, None)
        place = world.files.watched_name(place)
        problems = [self._problem(settings, place, status.st_ino, data) for settings in world.in_force]
        if all(problems):
            self._report(f"{place!r} ({len(data)} bytes) is taken away, but {problems[-1]}")
        moved = any(found == data for found in self._moved())
        world.tally["file moved after its upload" if moved else "file deleted after its upload"] += 1
        folder = folder_of(world.in_force[-1], place)
        remotes = tuple(folder["remote"]) if folder else ()
        self.taken.append(Taken(place=place, data=data, mtime_ns=status.st_mtime_ns, remotes=remotes))

    def _problem(self, settings: dict[str, Any], place: str, inode: int, data: bytes) -> str | None:
        folder = folder_of(settings, place)
        if folder is None:
            return "it is outside of all folders"
        if problem := problem_of_selection(folder, place, len(data)):
            return problem
        if folder["after_upload"] == "keep":
            return "it is to be kept"
        if any(writer.inode == inode for writer in self._world.files.writers):
            return "somebody has it open for writing"
        for name in folder["remote"]:
            if not self._world.servers[name].has(data) and not self._excused(settings, name, data):
                return f"{name} does not have these bytes"
            if problem := self._stale(settings, name, data):
                return problem
        if folder["after_upload"] != "delete" and not any(found == data for found in self._moved()):
            return "it is not whole where it was moved to"
        return None

    def _stale(self, settings: dict[str, Any], name: str, data: bytes) -> str | None:
        """Return whether the server was not asked recently enough."""
        server, wall = self._world.servers[name], self._world.wall()
        if settings["remotes"][name].get("expired_at"):
            fresh = wall - server.gave.get(server.digest(data), 0.0) <= JUST_NOW
            return None if fresh else f"{name} drops it some day, and was not asked whether it has it still"
        fresh = wall - server.confirmed.get(server.digest(data), 0.0) <= BELIEVED + JUST_NOW
        return None if fresh else f"{name} has not confirmed these bytes for more than an hour"

    def _excused(self, settings: dict[str, Any], name: str, data: bytes) -> bool:
        """Return whether the server lost a confirmed content and was not asked again."""
        server = self._world.servers[name]
        lost_at = None if server.digest(data) in server.denied else server.losses.get(server.digest(data))
        believed = JUST_NOW if settings["remotes"][name].get("expired_at") else BELIEVED
        return lost_at is not None and self._world.wall() - lost_at <= believed

    def _check_copy(self, place: str, data: bytes) -> None:
        """The daemon removed a file that it had moved or copied: a copy must remain."""
        if not any(found == data for found in (*self._moved(), *map(contents, self._world.files.walk()))):
            self._report(f"{place!r} was moved there, and is deleted")

    def _moved(self) -> Iterator[bytes]:
        """Yield the contents of the files that were moved completely."""
        disk = self._world.file_system.disk
        for top in (self._world.target, f"{disk}-away", f"{disk}-below"):
            for directory, _, names in os.walk(top):
                yield from (contents(os.path.join(directory, name)) for name in names if not name.startswith(HIDDEN))

    def _report(self, how: str) -> None:
        self._world.report_violation("P8", how)

    # At rest.

    def inspect(self) -> None:
        """Check that all moved files exist, and that no file remains hidden."""
        world = self._world
        here = set(self._moved()) | set(map(contents, world.files.walk()))
        for taken in self.taken:
            servers = [world.servers[name] for name in taken.remotes]
            if taken.data not in here and not any(
                server.has(taken.data) or server.digest(taken.data) in server.losses for server in servers
            ):
                self._report(f"{taken.place!r} ({len(taken.data)} bytes) is lost: it is nowhere any more")
        for place in world.files.hidden():
            self._report(f"{place!r} is left over")


def _inode(place: str) -> int | None:
    try:
        return os.lstat(place).st_ino
    except OSError:
        return None


def _nothing() -> None: ...
