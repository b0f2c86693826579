"""Defines request bodies of known length.

A body can be produced several times, because a request may be repeated.
"""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

PIECE_BYTES = 64 * 1024
"""Size of one write. The idle timeout and the bandwidth limit take effect between pieces."""


class Body(Protocol):
    """The body of a request."""

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""

    @property
    def size(self) -> int:
        """The total length in bytes."""

    def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body in pieces of at most ``PIECE_BYTES``; each call starts at the beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BytesBody:
    """A body in memory."""

    content_type: str
    data: bytes

    @property
    def size(self) -> int:
        """The total length in bytes."""
        return len(self.data)

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body in pieces."""
        for piece in _split(self.data):
            yield piece


def json_body(value: object) -> BytesBody:
    """Return ``value`` as ASCII JSON.

    The type is ``application/json`` without a charset, which some servers reject.
    """
    return BytesBody(content_type="application/json", data=json.dumps(value).encode("ascii"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FormFile:
    """The file of a form. Each call of ``read`` yields its ``size`` bytes from the start."""

    field: str
    filename: str
    media_type: str
    size: int
    read: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class MultipartForm:
    """A ``multipart/form-data`` body (RFC 7578): text fields, then one file."""

    fields: Mapping[str, str] = field(default_factory=dict)
    file: FormFile
    boundary: str = field(default_factory=lambda: f"syncd-{secrets.token_hex(16)}")

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """The total length in bytes."""
        return len(self._head()) + self.file.size + len(self._tail())

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body in pieces.

        Form fields and file data share pieces, because each piece is a separate write.
        """
        before = self._head()
        async for data in self.file.read():
            *pieces, last = _split(before + data)
            for piece in pieces:
                yield piece
            before = bytes(last)
        for piece in _split(before + self._tail()):
            yield piece

    def _head(self) -> bytes:
        parts = [f"{self._open(name)}\r\n\r\n{value}\r\n" for name, value in self.fields.items()]
        parts.append(
            f'{self._open(self.file.field)}; filename="{self.file.filename}"\r\n'
            f"Content-Type: {self.file.media_type}\r\n\r\n"
        )
        return "".join(parts).encode()

    def _open(self, name: str) -> str:
        return f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"'

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


def _split(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))
