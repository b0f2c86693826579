"""The module ``os`` of the daemon, in the simulated file system.

At each read and change other programs may act, the process may be killed, and promise 8 (deletions) is checked. A
process that was killed changes nothing.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from watchdog.events import FileCreatedEvent, FileDeletedEvent, FileMovedEvent, FileSystemEvent

from syncd.platform.file_info import birth_ns
from syncd.platform.posix import openat
from tests.simulation.incarnation_loop import Killed
from tests.simulation.removals import HIDDEN, Entry

if TYPE_CHECKING:
    from tests.simulation.incarnation import Incarnation

DEEPEST = 12
"""Descriptors for the directories of one file, and for its removal."""
_OTHERS = ("syncd.cli", "syncd.receiver", "syncd.store", "syncd.log", "syncd.config")
"""Modules that do not use the user's files."""
_rename_exclusively = openat.rename_exclusively
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_CREAT


class Disk:
    """Stands in for the module ``os`` in one incarnation of the daemon."""

    def __init__(self, incarnation: "Incarnation") -> None:
        self._incarnation = incarnation
        self._world = incarnation.world
        self._open: dict[int, tuple[int, str]] = {}  # descriptor → inode, and where that was when it was opened
        own_functions = {
            name.removeprefix("_os_"): getattr(self, name) for name in vars(Disk) if name.startswith("_os_")
        }
        self.os = SimpleNamespace(**{**vars(os), **own_functions, "remove": self._os_unlink})

    def modules(self) -> list[tuple[ModuleType, str, Any]]:
        """Return the product's modules that use files, with a name in each and its replacement."""
        replaced = {"os": (os, self.os), "read_at": (os.pread, self._os_pread), "birth_ns": (birth_ns, self._birth_ns)}
        return [
            (module, name, replacement)
            for module_name, module in sys.modules.items()
            if module_name.startswith("syncd.") and not module_name.startswith(_OTHERS)
            for name, (original, replacement) in replaced.items()
            if getattr(module, name, None) is original
        ]

    def close_all(self) -> None:
        """Close all descriptors, as the kernel does for a dead process."""
        for descriptor in self._still_open():
            self._os_close(descriptor)

    def _still_open(self) -> list[int]:
        """Return the descriptors that were not closed in another way."""
        return [descriptor for descriptor, (inode, _) in self._open.items() if _inode(descriptor) == inode]

    # Status.

    def _os_stat(self, path: Any, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        status = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return self._world.file_system.shown(status, path if dir_fd is None else self._full(path, dir_fd))

    def _os_lstat(self, path: Any, *, dir_fd: int | None = None) -> os.stat_result:
        return self._os_stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def _os_fstat(self, descriptor: int) -> os.stat_result:
        return self._world.file_system.shown(os.fstat(descriptor), descriptor)

    def _birth_ns(self, file: str | int, *, follow_symlinks: bool = False) -> int | None:
        try:
            status = os.stat(file) if isinstance(file, int) else os.stat(file, follow_symlinks=follow_symlinks)
        except OSError:
            return None
        return self._world.file_system.birth_ns(status)

    def _os_statvfs(self, path: Any) -> Any:
        return SimpleNamespace(f_fsid=self._world.file_system.device_of(path))

    # Opening and reading.

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        full = self._full(path, dir_fd)
        if flags & _WRITES and self._world.removals.concern(full):
            self._check_alive()
            self._world.removals.opening(full, flags)
        descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o777 == 0:  # root could read it
            os.close(descriptor)
            raise PermissionError(13, "Permission denied")
        if full.startswith(self._world.directory):
            if stat.S_ISREG(status.st_mode):
                self._world.file_system.made(status)
                if flags & os.O_EXCL:
                    self._world.removals.made(status.st_ino)
            self._open[descriptor] = (status.st_ino, os.path.realpath(full))
            self._check_number()
        return descriptor

    def _check_number(self) -> None:
        most = self._world.most_jobs * len(self._world.servers) + DEEPEST
        if len(self._open) > most:
            self._open = {descriptor: self._open[descriptor] for descriptor in self._still_open()}
        if len(self._open) > most:
            self._world.report_violation("P5", f"{len(self._open)} files are open at once, {most} are allowed")

    def _os_close(self, descriptor: int) -> None:
        os.close(descriptor)
        self._open.pop(descriptor, None)

    def _os_pread(self, descriptor: int, length: int, offset: int) -> bytes:
        self._world.strike()
        return os.pread(descriptor, length, offset)

    def _os_read(self, descriptor: int, length: int) -> bytes:
        _, place = self._open.get(descriptor, (0, ""))
        if place.startswith(tuple(self._world.files.roots)) and not os.path.basename(place).startswith(HIDDEN):
            self._world.strike_removal(place)
        return os.read(descriptor, length)

    # Changes.

    def _os_unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        entry = self._entry(path, dir_fd)
        self._change(
            entry,
            lambda: self._world.removals.unlinking(entry),
            lambda: os.unlink(path, dir_fd=dir_fd),
            FileDeletedEvent(entry.place),
        )

    def _os_rename(self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        source, target = self._entry(src, src_dir_fd), self._entry(dst, dst_dir_fd)
        self._change(
            source,
            lambda: self._world.removals.renaming(source, target),
            lambda: os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd),
            FileMovedEvent(source.place, target.place),
        )

    _os_replace = _os_rename

    def _os_link(
        self,
        src: Any,
        dst: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        source, target = self._entry(src, src_dir_fd), self._entry(dst, dst_dir_fd)
        about = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd, "follow_symlinks": follow_symlinks}
        self._change(
            source,
            lambda: self._world.removals.linking(source, target),
            lambda: os.link(src, dst, **about),
            FileCreatedEvent(target.place),
        )

    def rename_exclusively(self, directory: int, name: str, into: int, wanted: str) -> None:
        """Replace the product's exclusive rename, if the file system has one."""
        if not self._world.file_system.properties.exclusive_rename:
            raise OSError(errno.EINVAL, "Invalid argument")
        source, target = self._entry(name, directory), self._entry(wanted, into)
        self._change(
            source,
            lambda: self._world.removals.renaming(source, target),
            lambda: _rename_exclusively(directory, name, into, wanted),
            FileMovedEvent(source.place, target.place),
        )

    def _change(
        self, entry: Entry, check: Callable[[], Callable[[], None]], change: Callable[[], None], event: FileSystemEvent
    ) -> None:
        """Make a change; ``check`` runs before it, and returns a check that runs after it.

        The change emits its event.
        """
        if not self._world.removals.concern(entry.place):
            change()
            return
        self._check_alive()
        if not entry.place.startswith(self._world.target):
            self._world.strike_removal(self._world.removals.origin(entry))
        self._moment("file")
        judge = check()
        change()
        judge()
        self._world.files.emit(event)
        self._moment("file changed")

    def _check_alive(self) -> None:
        if self._world.incarnation is not self._incarnation:
            raise OSError(errno.EIO, "the process is dead")
        if self._incarnation.killed:
            raise Killed

    def _moment(self, kind: str) -> None:
        self._world.moment(kind)
        if self._incarnation.loop.doomed:
            self._incarnation.killed = True
            self._incarnation.loop.check()

    # Places.

    def _entry(self, path: Any, dir_fd: int | None) -> Entry:
        full = self._full(path, dir_fd)
        above, name = os.path.split(full)
        known = dir_fd is not None and dir_fd in self._open
        return Entry(place=full if known else os.path.join(os.path.realpath(above), name), path=path, dir_fd=dir_fd)

    def _full(self, path: Any, dir_fd: int | None) -> str:
        """Return the absolute path; a directory has the path at which it was opened."""
        path = os.fsdecode(path)
        if dir_fd is None or os.path.isabs(path):
            return path
        inode, place = self._open.get(dir_fd, (None, ""))
        if inode is None or _inode(dir_fd) != inode:
            place = os.readlink(f"/proc/self/fd/{dir_fd}")
        return os.path.join(place, path)


def _inode(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None
