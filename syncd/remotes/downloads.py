"""Processes the body of a download: hashes it, compares it, or records its length.

:meth:`syncd.remotes.http.Http.get` writes the body of a 200 to a :class:`DownloadWriter`.
"""

import hashlib
from enum import Enum
from typing import Protocol

from syncd.remotes.base import Hasher, WriteCallback


class DownloadWriter(Protocol):
    """Receives the body of a download. Both methods return False to end the download."""

    def expect(self, length: int | None) -> bool:
        """Receive the announced length in bytes; None if the server announced none."""

    def write(self, data: bytes) -> bool:
        """Receive the next bytes."""


class LengthRecorder:
    """Records the announced length, and ends the download.

    ``length`` is None if the server announced none.
    """

    def __init__(self) -> None:
        self.length: int | None = None

    def expect(self, length: int | None) -> bool:
        """Record the length, and end the download."""
        self.length = length
        return False

    def write(self, data: bytes) -> bool:  # noqa: ARG002 - the protocol's
        """End the download."""
        return False


class HashingWriter:
    """Passes a downloaded file on to ``write``, and hashes it."""

    def __init__(self, hasher: Hasher, write: WriteCallback) -> None:
        self._hasher = hasher
        self._write = write

    def expect(self, length: int | None) -> bool:  # noqa: ARG002 - only the bytes count
        """Accept any length."""
        return True

    def write(self, data: bytes) -> bool:
        """Hash the next bytes, and pass them on."""
        self._hasher.update(data)
        return self._write(data)

    def key(self) -> str:
        """Return the key of the downloaded content."""
        return self._hasher.content().key


class CopyState(Enum):
    """The result of a comparison of the server's copy with the content."""

    INTACT = "intact"
    SHORTER = "shorter"
    LONGER = "longer"
    ENDLESS = "endless"
    """Longer than the content, without an announced length: the server may do this for any file."""
    GAPS = "gaps"
    """The right length, with NULs where chunks may be missing."""
    DIFFERENT = "different"
    """The right length, with other bytes."""


class ComparingWriter:
    """Compares a download with a content of ``size`` bytes whose SHA-256 is ``sha256``.

    The bytes are not kept, and the download ends as soon as the copy is too long. ``text`` means that the content is
    text, so NULs in the copy mark missing chunks.
    """

    def __init__(self, *, size: int, sha256: str, text: bool = False) -> None:
        self._expected_size = size
        self._sha256 = sha256
        self._text = text
        self._gaps = False
        self._hash = hashlib.sha256()
        self._size = 0
        self._length_known = False

    def expect(self, length: int | None) -> bool:
        """Accept the right length or none; any other length ends the download."""
        self._length_known = length is not None
        if length is not None and length != self._expected_size:
            self._size = length
            return False
        return True

    def write(self, data: bytes) -> bool:
        """Hash the next bytes; end the download once there are too many."""
        self._size += len(data)
        self._hash.update(data)
        self._gaps = self._gaps or (self._text and b"\0" in data)
        return self._size <= self._expected_size

    def result(self) -> CopyState:
        """Return the result, after the download."""
        if self._size < self._expected_size:
            return CopyState.SHORTER
        if self._size > self._expected_size:
            return CopyState.LONGER if self._length_known else CopyState.ENDLESS
        if self._hash.hexdigest() == self._sha256:
            return CopyState.INTACT
        return CopyState.GAPS if self._gaps else CopyState.DIFFERENT
