"""Pictures that were made before, on disk.

A browser keeps what it has seen; this is for the next browser and the next day, as making one takes up to a second and
a gallery shows many at once. A file is its checksum and the picture: one that a crash or a disk has damaged is not
shown but made again, so nothing has to be synced.
"""

import os
import threading
import zlib
from contextlib import suppress

LIMIT = 256 * 1024 * 1024
"""Bytes kept at most."""
LEAVE = 0.9
"""Of the limit, when the oldest are removed."""
_SUM = 4
"""Bytes of the checksum."""


class Cache:
    """Pictures by key in ``directory``, made when the first one comes. All methods block; any thread may call them."""

    def __init__(self, directory: str, *, limit: int = LIMIT) -> None:
        self._directory = directory
        self._limit = limit
        self._size: int | None = None
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the picture kept under ``key``, a text of letters and digits; None if there is none that is whole."""
        try:
            with open(self._path(key), "rb") as file:
                data = file.read()
        except OSError:
            return None
        body = data[_SUM:]
        return body if body and data[:_SUM] == _checksum(body) else None

    def put(self, key: str, body: bytes) -> None:
        """Keep a picture; one that can't be written is made again another time."""
        path = self._path(key)
        part = f"{path}.{threading.get_ident()}.part"
        with self._lock, suppress(OSError):
            try:
                os.makedirs(self._directory, mode=0o700, exist_ok=True)
                if self._size is None:
                    self._size = self._sweep(self._limit)
                with open(part, "wb") as file:
                    file.write(_checksum(body) + body)
                os.replace(part, path)
            except OSError:
                with suppress(OSError):
                    os.unlink(part)
                raise
            self._size += _SUM + len(body)
            if self._size > self._limit:
                self._size = self._sweep(int(self._limit * LEAVE))

    def _sweep(self, most: int) -> int:
        """Remove the oldest until at most so many bytes are left; return how many are."""
        with os.scandir(self._directory) as entries:
            found = [(entry.stat().st_mtime_ns, entry.path, entry.stat().st_size) for entry in entries]
        size = sum(of for _, _, of in found)
        for _, path, of in sorted(found):
            if size <= most:
                break
            os.unlink(path)
            size -= of
        return size

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, f"{key}.webp")


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_SUM, "big")
