"""Stores rendered previews on disk.

Rendering a preview takes up to a second, a gallery shows many, and the cache of a browser serves only that browser.
Each file has a checksum and a preview. A file that a crash or a disk error has damaged is rendered again, so the cache
needs no fsync.
"""

import os
import threading
import zlib
from contextlib import suppress

MAX_CACHE_BYTES = 256 * 1024 * 1024
"""Size above which the cache removes its oldest previews."""
KEPT_FRACTION = 0.9
"""Fraction of the limit to which the cache shrinks then."""
_CHECKSUM_BYTES = 4


class Cache:
    """Previews by key in ``directory``, which is created on demand.

    All methods block and are thread-safe.
    """

    def __init__(self, directory: str, *, limit: int = MAX_CACHE_BYTES) -> None:
        self._directory = directory
        self._limit = limit
        self._size: int | None = None
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the preview of ``key`` (letters and digits), or None if it is missing or damaged."""
        try:
            with open(self._path(key), "rb") as file:
                data = file.read()
        except OSError:
            return None
        body = data[_CHECKSUM_BYTES:]
        return body if body and data[:_CHECKSUM_BYTES] == _checksum(body) else None

    def put(self, key: str, body: bytes) -> None:
        """Store a preview. Ignore write errors, because the preview can be rendered again."""
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
            self._size += _CHECKSUM_BYTES + len(body)
            if self._size > self._limit:
                self._size = self._sweep(int(self._limit * KEPT_FRACTION))

    def _sweep(self, max_bytes: int) -> int:
        """Remove the oldest previews until at most ``max_bytes`` are left. Return the bytes left."""
        with os.scandir(self._directory) as entries:
            found = [(entry.stat().st_mtime_ns, entry.path, entry.stat().st_size) for entry in entries]
        size = sum(of for _, _, of in found)
        for _, path, of in sorted(found):
            if size <= max_bytes:
                break
            os.unlink(path)
            size -= of
        return size

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, f"{key}.webp")


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")
