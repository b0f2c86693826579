"""Reads and writes the files of a store. Each function blocks; call it in a thread.

Each function opens and closes its files, so unfinished uploads hold no descriptors.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.platform.files import SAFE_OPEN_FLAGS

ARRIVED = b"\x01"
_ALGORITHMS = {32: "md5", 64: "sha256"}


@contextmanager
def open_fd(path: str, flags: int) -> Iterator[int]:
    """Yield a descriptor of `path`; only the owner can access a new file."""
    descriptor = os.open(path, flags | SAFE_OPEN_FLAGS, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def create(path: str, data: bytes | memoryview = b"", *, size: int = 0) -> None:
    """Create `path` with `data`, or as a sparse file of `size` bytes."""
    with open_fd(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        if size:
            os.ftruncate(descriptor, size)
        _write_at(descriptor, data, 0)


def write_chunk(data_path: str, marks_path: str, *, index: int, offset: int, data: bytes) -> bool:
    """Write a chunk at its offset, then mark it as arrived.

    Return False and write nothing if it was marked before. The mark is written after the bytes, so that a kill at any
    moment leaves no mark without its bytes.
    """
    with open_fd(marks_path, os.O_RDWR) as marks:
        os.lseek(marks, index, os.SEEK_SET)
        if os.read(marks, 1) == ARRIVED:
            return False
        with open_fd(data_path, os.O_WRONLY) as descriptor:
            _write_at(descriptor, data, offset)
        _write_at(marks, ARRIVED, index)
        return True


def _write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    rest = memoryview(data)
    os.lseek(descriptor, offset, os.SEEK_SET)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read(path: str) -> bytes:
    """Return the content of a small file."""
    with open(path, "rb") as file:
        return file.read()


def has_digest(path: str, digest: str) -> bool:
    """Return whether the file's content has this MD5 or SHA-256, as lowercase hex."""
    algorithm = _ALGORITHMS[len(digest)]
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return found.hexdigest() == digest


def is_digest_of(digest: str, data: bytes) -> bool:
    """Return whether these bytes have this MD5 or SHA-256, as lowercase hex."""
    return hashlib.new(_ALGORITHMS[len(digest)], data, usedforsecurity=False).hexdigest() == digest
