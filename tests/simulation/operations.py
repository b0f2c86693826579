"""Operations of users and programs on files and folders, one function each.

An operation picks its target with ``rng``. It returns the path that it changed, or None if there was no target.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Callable

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileSystemEvent,
)

from tests.simulation.careless import CARELESS
from tests.simulation.files import PLAIN, Files, contents, is_odd
from tests.simulation.writers import Writer


def create(files: Files, rng: random.Random) -> str | None:
    """Write a complete file, over an earlier one if there is any."""
    return files.write(files.any_place(rng), files.data(rng))


def duplicate(files: Files, rng: random.Random) -> str | None:
    """Write the content of another file as a new file."""
    source = files.any_file(rng)
    return source and files.write(files.any_place(rng), contents(source))


def write_in_parts(files: Files, rng: random.Random) -> str | None:
    """Open a file, write to it for a while, and close it."""
    path = files.any_place(rng)
    if path is None or is_odd(path):
        return None
    with contextlib.suppress(BlockingIOError):
        Writer(files, path, rng)
        return path
    return None


def replace(files: Files, rng: random.Random) -> str | None:
    """Write a temporary file, and rename it over the file."""
    path = files.any_place(rng)
    if path is None:
        return None
    part = f"{path}.part"
    files.write(part, files.data(rng))
    return files.move(part, path)


def rename(files: Files, rng: random.Random) -> str | None:
    """Rename or move a file, possibly over another file."""
    source, target = files.any_file(rng), files.any_place(rng)
    return source and target and files.move(source, target)


def copy(files: Files, rng: random.Random) -> str | None:
    """Copy a file, sometimes with its mtime."""
    source, target = files.any_file(rng), files.any_place(rng)
    if source is None or target is None or source == target or os.path.isdir(target):
        return None
    if rng.random() < 0.5:
        return files.write(target, contents(source))
    part = f"{target}.part"
    shutil.copy2(source, part)
    files.world.file_system.made(os.stat(part))
    files.remember(part)
    return files.move(part, target)


def link(files: Files, rng: random.Random) -> str | None:
    """Make a hard link."""
    source, target = files.any_file(rng), files.any_place(rng)
    if source is None or target is None or os.path.lexists(target):
        return None
    os.link(source, target)
    files.emit(FileCreatedEvent(target))
    return target


def odd(files: Files, rng: random.Random) -> str | None:
    """Make a pipe or a dangling link with the name of a file."""
    path = files.any_place(rng)
    if path is None or os.path.lexists(path):
        return None
    rng.choice([lambda: os.mkfifo(path), lambda: os.symlink("nowhere.jpg", path)])()
    files.emit(FileCreatedEvent(path))
    return path


def delete(files: Files, rng: random.Random) -> str | None:
    """Delete a file."""
    return _remove(files, files.any_file(rng), os.unlink, FileDeletedEvent)


def truncate(files: Files, rng: random.Random) -> str | None:
    """Truncate a file."""
    return files.change(rng, lambda fd, size: os.ftruncate(fd, rng.randint(0, size)))


def append(files: Files, rng: random.Random) -> str | None:
    """Append to a file."""
    return files.change(rng, lambda fd, size: os.pwrite(fd, rng.randbytes(rng.randint(1, 3000)), size))


def overwrite(files: Files, rng: random.Random) -> str | None:
    """Overwrite bytes within a file; its size stays."""

    def change(fd: int, size: int) -> None:
        if size:
            at = rng.randrange(size)
            os.pwrite(fd, rng.randbytes(rng.randint(1, size - at)), at)

    return files.change(rng, change)


def touch(files: Files, rng: random.Random) -> str | None:
    """Change a file's mtime."""
    return files.change(rng, lambda fd, size: None)


def forbid(files: Files, rng: random.Random) -> str | None:
    """Remove all permissions, for a while or until the end."""
    path = files.any_file(rng)
    if path is None:
        return None
    os.chmod(path, 0)
    files.world.after(rng.choice([3, 20, 1000]), lambda: os.path.isfile(path) and os.chmod(path, 0o644))
    return path


def make_folder(files: Files, rng: random.Random) -> str | None:
    """Make a folder with files in it."""
    path = _new_folder(files, rng)
    if path is None:
        return None
    os.mkdir(path)
    files.emit(DirCreatedEvent(path))
    for name in rng.sample(PLAIN, rng.randint(0, 3)):
        files.write(os.path.join(path, name), files.data(rng))
    return path


def bring_folder(files: Files, rng: random.Random) -> str | None:
    """Move a folder in from outside."""
    path = _new_folder(files, rng)
    if path is None:
        return None
    outside = os.path.join(files.world.directory, "brought")
    os.makedirs(os.path.join(outside, "deep"))
    for name in rng.sample(PLAIN, 2):
        with open(os.path.join(outside, rng.choice(["", "deep"]), name), "wb") as file:
            file.write(files.data(rng))
        files.fingerprint(file.name)
    os.rename(outside, path)
    files.emit(DirCreatedEvent(path))
    return path


def move_folder(files: Files, rng: random.Random) -> str | None:
    """Rename or move a folder."""
    source, parent = files.any_subfolder(rng), files.any_folder(rng)
    if source is None or parent is None:
        return None
    target = os.path.join(parent, rng.choice(["sub", "other", "third"]))
    if os.path.lexists(target) or f"{target}/".startswith(f"{source}/"):
        return None
    os.rename(source, target)
    files.emit(DirMovedEvent(source, target))
    return target


def delete_folder(files: Files, rng: random.Random) -> str | None:
    """Delete a folder with all files in it."""
    return _remove(files, files.any_subfolder(rng), shutil.rmtree, DirDeletedEvent)


def lose(files: Files, rng: random.Random) -> str | None:
    """Make a watched folder disappear for a while, as an unmount or a rename does."""
    root = rng.choice(files.roots)
    if root in files.lost:
        return None
    away = f"{root}-away"
    os.rename(root, away)
    if rng.random() < 0.5:  # an empty mount point
        os.mkdir(root)
    if rng.random() < 0.5:
        files.world.events.unmounted()
    files.lost[root] = away
    files.world.after(rng.choice([0.5, 5, 30]), lambda: files.bring_back(root))
    return root


def _remove(
    files: Files,
    path: str | None,
    remove: Callable[[str], object],
    event: Callable[[str], FileSystemEvent],
) -> str | None:
    if path is not None:
        remove(path)
        files.emit(event(path))
    return path


def _new_folder(files: Files, rng: random.Random) -> str | None:
    """Return the path of a folder that can be made, or None."""
    parent = files.any_folder(rng)
    path = parent and os.path.join(parent, rng.choice(["sub", "other"]))
    return None if path is None or os.path.lexists(path) else path


OPERATIONS: dict[str, tuple[Callable[[Files, random.Random], str | None], int]] = {
    operation.__name__: (operation, weight)
    for operation, weight in {
        create: 12,
        write_in_parts: 6,
        replace: 5,
        rename: 6,
        copy: 4,
        duplicate: 4,
        link: 1,
        odd: 1,
        delete: 3,
        truncate: 2,
        append: 3,
        overwrite: 5,
        touch: 2,
        forbid: 2,
        make_folder: 3,
        bring_folder: 2,
        move_folder: 3,
        delete_folder: 1,
        lose: 2,
        **CARELESS,
    }.items()
}
"""Each operation by its name, with its frequency relative to the others."""
