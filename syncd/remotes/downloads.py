"""What takes a download in, hands the file in it on, and knows in the end what content it was."""

import hashlib
from enum import Enum

from syncd.remotes.base import Hasher, Taker
from syncd.remotes.image.encodings import Decoder


class Plain:
    """A download that is the file itself."""

    def __init__(self, hasher: Hasher, take: Taker) -> None:
        self._hasher = hasher
        self._take = take

    def expect(self, length: int | None) -> bool:  # noqa: ARG002 - only the bytes count
        """Have it, whatever its length."""
        return True

    def write(self, data: bytes) -> bool:
        """Take the next bytes."""
        self._hasher.update(data)
        return self._take(data)

    def key(self) -> str:
        """Return the key of what came."""
        return self._hasher.content().key


class Decoding:
    """A download that is the text of a file in one of the forms of the image API."""

    def __init__(self, form: str, take: Taker) -> None:
        self._decoder = Decoder(form)
        self._take = take
        self._hash = hashlib.sha256()

    def expect(self, length: int | None) -> bool:  # noqa: ARG002 - only the bytes count
        """Have it, whatever its length."""
        return True

    def write(self, data: bytes) -> bool:
        """Take the next characters."""
        self._hash.update(data)
        try:
            return self._take(self._decoder.feed(data))
        except ValueError:  # the hash says so too
            return False

    def key(self) -> str:
        """Return the key of what came."""
        return self._hash.hexdigest()


class Copy(Enum):
    """How the server's copy compares with the content."""

    WHOLE = "whole"
    PART = "part"
    LONGER = "longer"
    ENDLESS = "endless"
    """More than the content, and nobody said how much it would be: it may be a server in trouble."""
    GAPS = "gaps"
    """Of the right length, with NULs where chunks may be missing."""
    OTHER = "other"
    """Of the right length, with other bytes."""


class Comparison:
    """A download that is compared with a content of ``size`` bytes whose SHA-256 is ``sha256``.

    It is not kept, and no more of it is read than the comparison takes. With ``text`` the content is text, in which
    NULs are the gaps of a copy that is not whole.
    """

    def __init__(self, *, size: int, sha256: str, text: bool = False) -> None:
        self._expected = size
        self._sha256 = sha256
        self._text = text
        self._gaps = False
        self._hash = hashlib.sha256()
        self._size = 0
        self._told = False

    def expect(self, length: int | None) -> bool:
        """Have it, unless the announced length is another one."""
        self._told = length is not None
        if length is not None and length != self._expected:
            self._size = length
            return False
        return True

    def write(self, data: bytes) -> bool:
        """Take the next bytes; no more once they are too many."""
        self._size += len(data)
        self._hash.update(data)
        self._gaps = self._gaps or (self._text and b"\0" in data)
        return self._size <= self._expected

    def result(self) -> Copy:
        """Say how what came compares."""
        if self._size < self._expected:
            return Copy.PART
        if self._size > self._expected:
            return Copy.LONGER if self._told else Copy.ENDLESS
        if self._hash.hexdigest() == self._sha256:
            return Copy.WHOLE
        return Copy.GAPS if self._gaps else Copy.OTHER
