"""What a request carries: its length is known before, and it can be produced again for a second attempt."""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

PIECE_BYTES = 64 * 1024
"""Bytes handed to the connection at a time; the stall timer and the bandwidth limit work by the piece."""


class Body(Protocol):
    """The body of a request."""

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body from its start, at most ``PIECE_BYTES`` bytes at a time; may be called again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BytesBody:
    """A body that is in memory."""

    content_type: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.data)

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body from its start."""
        for piece in _cut(self.data):
            yield piece


def json_body(value: object) -> BytesBody:
    """Return ``value`` as JSON in ASCII; the type is ``application/json`` and nothing more, as some servers insist."""
    return BytesBody(content_type="application/json", data=json.dumps(value).encode("ascii"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FormFile:
    """The file of a form: ``size`` bytes, which ``read`` yields from the start each time it is called."""

    field: str
    filename: str
    media_type: str
    size: int
    read: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class MultipartForm:
    """A body as ``multipart/form-data``: plain fields, then one file. Source: RFC 7578."""

    fields: Mapping[str, str] = field(default_factory=dict)
    file: FormFile
    boundary: str = field(default_factory=lambda: f"syncd-{secrets.token_hex(16)}")

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._head()) + self.file.size + len(self._tail())

    async def pieces(self) -> AsyncIterator[memoryview]:
        """Yield the body from its start."""
        for piece in _cut(self._head()):
            yield piece
        async for data in self.file.read():
            for piece in _cut(data):
                yield piece
        for piece in _cut(self._tail()):
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


def _cut(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))
