"""What takes a download in, hands the file in it on, and knows in the end what content it was."""

import hashlib

from syncd.remote.base import Hasher, Taker
from syncd.remote.forms import Decoder


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
