"""Operations on files that a careless deletion would lose.

``AT_REMOVAL`` are the operations that happen between two steps of the daemon while it removes a file.
"""

import contextlib
import hashlib
import os
import random
from collections.abc import Callable

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent

from tests.simulation.files import PLAIN, Files, contents, is_odd, open_at_once
from tests.simulation.writers import MappedWriter, Writer

OLD = 1000 * 10**9
"""Age in nanoseconds of the pictures on a card."""


def card(files: Files, rng: random.Random) -> str | None:
    """Copy a series of pictures from a card with ``cp -p``, with equal sizes and times."""
    folder = files.any_folder(rng)
    if folder is None:
        return None
    size, taken = rng.randint(2, 2000), int(files.world.wall() * 1e9) - OLD
    pause = rng.choice([0.0, 0.3, 2.0, 4.0])
    for number in range(rng.randint(2, 6)):
        path = os.path.join(folder, rng.choice([PLAIN[number % len(PLAIN)], f"img{number}.jpg"]))
        data = rng.randbytes(size)
        files.world.after(number * pause, lambda path=path, data=data: copied(files, path, data, taken))
    return folder


def copied(files: Files, path: str, data: bytes, mtime_ns: int) -> str | None:
    """Write a new file as ``cp -p`` does."""
    if not files.is_folder(os.path.dirname(path)) or os.path.lexists(path) or files.write(path, data) is None:
        return None
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def come_back(files: Files, rng: random.Random) -> str | None:
    """Write another content with the size and time of a removed file at its path."""
    taken = files.world.removals.taken
    if not taken:
        return None
    one = rng.choice(taken)
    if os.path.lexists(one.place) or not one.data:
        return None
    return copied(files, one.place, rng.randbytes(len(one.data)), one.mtime_ns)


def same_second(files: Files, rng: random.Random) -> str | None:
    """Write a file, and soon afterwards another content of the same size."""
    path = files.any_place(rng)
    data = rng.randbytes(rng.randint(2, 2000))
    if path is None or files.write(path, data) is None:
        return None
    for _ in range(rng.randint(1, 2)):
        files.world.after(rng.uniform(0, 2.5), lambda: rewrite(files, rng, path))
    return path


def keep_times(files: Files, rng: random.Random) -> str | None:
    """Change bytes in a file and restore its mtime, as tag editors do: only a read shows it."""
    path = files.any_file(rng)
    if path is None:
        return None
    mtime_ns = os.lstat(path).st_mtime_ns
    if rewrite(files, rng, path) is None:
        return None
    os.utime(path, ns=(mtime_ns, mtime_ns))
    files.disguised.add(hashlib.sha256(contents(path)).digest())
    return path


def map_writable(files: Files, rng: random.Random) -> str | None:
    """Write a file through a memory map."""
    path = files.any_file(rng)
    if path is None or os.path.getsize(path) == 0:
        return None
    with contextlib.suppress(BlockingIOError):
        MappedWriter(files, path, rng)
        return path
    return None


def swap_folder(files: Files, rng: random.Random) -> str | None:
    """Move a subfolder away, and put a link to it at its path."""
    path = files.any_subfolder(rng)
    if path is None:
        return None
    files.swap(path)
    files.world.after(rng.choice([2, 10, 1000]), lambda: files.swap_back(path))
    return path


def rewrite(files: Files, rng: random.Random, path: str) -> str | None:
    """Overwrite the whole file; its size stays."""
    if is_odd(path) or not os.path.lexists(path) or os.path.getsize(path) == 0:
        return None
    try:
        descriptor = open_at_once(path, os.O_RDWR)
    except BlockingIOError:
        return None
    os.pwrite(descriptor, rng.randbytes(os.fstat(descriptor).st_size), 0)
    files.fingerprint(descriptor)
    os.close(descriptor)
    files.emit(FileClosedEvent(path))
    return path


def _replace(files: Files, rng: random.Random, path: str) -> str | None:
    part = f"{path}.part"
    files.write(part, files.data(rng))
    return files.move(part, path)


def _reuse(files: Files, rng: random.Random, path: str) -> str | None:
    """Replace the file by one of the same size and time, possibly with the same inode number."""
    if is_odd(path) or not os.path.lexists(path):
        return None
    status = os.lstat(path)
    os.unlink(path)
    files.emit(FileDeletedEvent(path))
    return copied(files, path, rng.randbytes(status.st_size), status.st_mtime_ns)


def _rename(files: Files, rng: random.Random, path: str) -> str | None:
    target = os.path.join(os.path.dirname(path), rng.choice(PLAIN))
    if not os.path.lexists(path) or os.path.lexists(target):
        return None
    os.rename(path, target)
    files.emit(FileMovedEvent(path, target))
    return target


def _swap(files: Files, rng: random.Random, path: str) -> str | None:
    folder = os.path.dirname(path)
    if folder in files.roots or not files.is_folder(folder):
        return None
    files.swap(folder)
    files.world.after(rng.choice([2, 10]), lambda: files.swap_back(folder))
    return folder


def _link(files: Files, rng: random.Random, path: str) -> str | None:
    """Move the file away, and put a link to it at its path."""
    if is_odd(path) or not os.path.lexists(path):
        return None
    away = os.path.join(files.world.outside, f"linked-{len(os.listdir(files.world.outside))}")
    os.rename(path, away)
    os.symlink(away, path)
    files.emit(FileDeletedEvent(path), FileCreatedEvent(path))
    return path


def _writer(files: Files, rng: random.Random, path: str) -> str | None:
    if is_odd(path) or not os.path.lexists(path):
        return None
    with contextlib.suppress(BlockingIOError):
        Writer(files, path, rng, keep=True)
        return path
    return None


def _append(files: Files, rng: random.Random, path: str) -> str | None:
    """Write the file again with more bytes."""
    return None if is_odd(path) or not os.path.lexists(path) else files.write(path, contents(path) + rng.randbytes(9))


CARELESS = {card: 4, come_back: 3, same_second: 3, keep_times: 2, map_writable: 2, swap_folder: 1}
"""The frequency of each operation relative to the others."""
AT_REMOVAL: tuple[Callable[[Files, random.Random, str], str | None], ...] = (
    rewrite,
    _replace,
    _reuse,
    _rename,
    _swap,
    _link,
    _writer,
    _append,
)
UNLEASED = tuple(operation for operation in AT_REMOVAL if operation is not _writer)
"""The operations that can be noticed without leases; an open writer without a write cannot."""
