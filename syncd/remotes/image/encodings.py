"""Encodes files as text and decodes them: the image API stores only text.

The size, the chunks and the hash of a content refer to the text, which has one byte for each character.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from syncd.core.errors import Permanent
from syncd.core.model import Content

Encoding = Literal["text", "base64url", "base64"]
"""``text``: the unchanged bytes of an ASCII file. The others: base64 with padding, without line breaks."""

_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "text": bytes,
    "base64url": base64.urlsafe_b64encode,
    "base64": base64.b64encode,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of the text, in terms of the file.

    Read ``length`` bytes at ``offset`` of the file; the part is ``[start:end]`` of their encoding.
    """

    encoding: str
    offset: int
    length: int
    start: int
    end: int

    def encode(self, data: bytes) -> bytes:
        """Return the text of this slice; ``data`` are the bytes at ``offset``."""
        return _ENCODERS[self.encoding](data)[self.start : self.end]

    def as_json(self, data: bytes) -> bytes:
        """Return the text of this slice as a JSON string."""
        text = self.encode(data)
        return json.dumps(text.decode("ascii")).encode("ascii") if self.encoding == "text" else b'"%b"' % text


def slice_text(encoding: str, *, offset: int, length: int, file_size: int) -> Slice:
    """Return the slice for ``length`` characters at ``offset`` of a file's text.

    Four characters of base64 encode three bytes; a slice may begin and end within such a group. ``file_size`` is in
    bytes.
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
    """Decodes a text piece by piece into the bytes of the file.

    :meth:`feed` raises ``ValueError`` if the text is malformed. A truncated text is not an error: its hash differs.
    """

    def __init__(self, encoding: str) -> None:
        self._plain = encoding == "text"
        self._url = encoding == "base64url"
        self._rest = b""
        self._ended = False

    def feed(self, text: bytes) -> bytes:
        """Return the bytes that ``text`` completes."""
        if self._plain:
            return text
        text = self._rest + text
        complete = len(text) - len(text) % 4
        self._rest = text[complete:]
        if not complete:
            return b""
        if self._ended:
            raise ValueError("text after the padding")
        self._ended = text[complete - 1 : complete] == b"="
        block = text[:complete].translate(_FROM_URL) if self._url else text[:complete]
        return binascii.a2b_base64(block, strict_mode=True)


_FROM_URL = bytes.maketrans(b"-_", b"+/")


def text_length(encoding: str, size: int) -> int:
    """Return the length of the text for a file of ``size`` bytes."""
    return size if encoding == "text" else -(-size // 3) * 4


def file_bytes_in(encoding: str, characters: int) -> int:
    """Return approximately how many bytes of a file ``characters`` encode; at least one."""
    return characters if encoding == "text" else max(1, characters // 4 * 3)


class _Digest:
    """Hashes and counts the text of a file in one encoding."""

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
        complete = len(data) - len(data) % self._step
        self._rest = data[complete:]
        self._add(data[:complete] if self._rest else data)

    def _add(self, data: bytes) -> None:
        text = self._encode(data)
        self._hash.update(text)
        self._size += len(text)

    def content(self) -> Content:
        self._add(self._rest)
        self._rest = b""
        return Content(key=self._hash.hexdigest(), size=self._size, encoding=self._encoding)


class TextHasher:
    """Hashes the text of a file, and its bytes.

    The encoding ``auto`` is ``text`` for a pure ASCII file and ``base64url`` for any other: both are hashed until the
    first byte that is not ASCII.
    """

    def __init__(self, encoding: str) -> None:
        self.kind = f"image {encoding}"
        encodings = ("text", "base64url") if encoding == "auto" else (encoding,)
        self._digests = [_Digest(encoding) for encoding in encodings]
        self._bytes = hashlib.sha256()
        self._forced = encoding == "text"
        self._ascii = encodings[0] == "text"

    def update(self, data: bytes) -> None:
        """Hash the next bytes.

        Raises ``Permanent`` if they are not ASCII and the encoding is ``text``.
        """
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
