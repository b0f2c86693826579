"""The forms in which a file travels through the image API, which stores texts only.

A content's ``size``, its chunks and its hash are all taken over the text, a character being a byte of it.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from syncd.core.errors import Permanent
from syncd.core.model import Content

Encoding = Literal["text", "base64url", "base64"]
"""``text``: the file's own bytes, all ASCII. The others: base64 with padding and without line breaks."""

_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "text": bytes,
    "base64url": base64.urlsafe_b64encode,
    "base64": base64.b64encode,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A piece of the text: the bytes of the file to read, and where in their text the piece begins and ends."""

    encoding: str
    offset: int
    length: int
    start: int
    end: int

    def encode(self, data: bytes) -> str:
        """Return the piece, made of the bytes that were read."""
        return _ENCODERS[self.encoding](data)[self.start : self.end].decode("ascii")


def slice_text(encoding: str, *, offset: int, length: int, file_size: int) -> Slice:
    """Say where in a file of ``file_size`` bytes these characters of its text come from.

    Four characters stand for three bytes, and a piece may begin and end anywhere between.
    """
    if encoding == "text":
        return Slice(encoding=encoding, offset=offset, length=length, start=0, end=length)
    first, last = offset // 4, -(-(offset + length) // 4)
    start = first * 3
    skipped = offset - first * 4
    return Slice(
        encoding=encoding, offset=start, length=min(last * 3, file_size) - start, start=skipped, end=skipped + length
    )


class Decoder:
    """Turns a text back into the bytes of the file, piece by piece; four characters of base64 are three bytes.

    ``ValueError`` from what is no such text. Whether it is whole is for its hash to say.
    """

    def __init__(self, encoding: str) -> None:
        self._plain = encoding == "text"
        self._url = encoding == "base64url"
        self._rest = b""
        self._ended = False

    def feed(self, text: bytes) -> bytes:
        """Return the bytes that the text so far has beyond those returned before."""
        if self._plain:
            return text
        text = self._rest + text
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        if not whole:
            return b""
        if self._ended:
            raise ValueError("there is more after the padding")
        self._ended = text[whole - 1 : whole] == b"="
        block = text[:whole].translate(_FROM_URL) if self._url else text[:whole]
        return binascii.a2b_base64(block, strict_mode=True)


_FROM_URL = bytes.maketrans(b"-_", b"+/")


def text_length(encoding: str, size: int) -> int:
    """Return the length of the text that a file of ``size`` bytes travels as."""
    return size if encoding == "text" else -(-size // 3) * 4


def file_bytes_in(encoding: str, characters: int) -> int:
    """Return how many bytes of a file about so many characters hold; at least one."""
    return characters if encoding == "text" else max(1, characters // 4 * 3)


class _Digest:
    """The SHA-256 and the length of a file's text in one form, computed as the file is read."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._encode = _ENCODERS[encoding]
        self._step = 1 if encoding == "text" else 3
        self._hash = hashlib.sha256()
        self._size = 0
        self._rest = b""

    def update(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self._step
        self._rest = data[whole:]
        self._add(data[:whole] if self._rest else data)

    def _add(self, data: bytes) -> None:
        text = self._encode(data)
        self._hash.update(text)
        self._size += len(text)

    def content(self) -> Content:
        self._add(self._rest)
        self._rest = b""
        return Content(key=self._hash.hexdigest(), size=self._size, encoding=self._encoding)


class TextHasher:
    """Says what text a file is. ``auto`` takes pure ASCII as it is, and all else as base64url.

    As it can't know before the end, it computes both until the first byte that is not ASCII.
    """

    def __init__(self, encoding: str) -> None:
        encodings = ("text", "base64url") if encoding == "auto" else (encoding,)
        self._digests = [_Digest(encoding) for encoding in encodings]
        self._bytes = hashlib.sha256()
        self._forced = encoding == "text"
        self._ascii = encodings[0] == "text"

    def update(self, data: bytes) -> None:
        """Take the next bytes; ``Permanent`` where ``text`` was asked for and they are not ASCII."""
        if self._ascii and not data.isascii():
            if self._forced:
                raise Permanent("the file is not pure ASCII, so it can't be sent as text: set encoding to auto")
            self._ascii = False
            del self._digests[0]
        self._bytes.update(data)
        for digest in self._digests:
            digest.update(data)

    def content(self) -> Content:
        """Return the content, after the last bytes."""
        return replace(self._digests[0].content(), sha256=self._bytes.hexdigest())
