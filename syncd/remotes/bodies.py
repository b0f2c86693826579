"""Defines request bodies of known length.

A body can be produced several times, because a request may be repeated.
"""

import json
import random
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

_random = random.Random(secrets.randbits(256))  # noqa: S311 - it only has to differ from what a file contains
"""Makes boundaries. ``secrets`` would give up the interpreter lock for each, which takes 0.3 ms under load."""
_JOINED_BYTES = 256 * 1024
"""Parts of a form are copied into one block of at most this size."""


class Body(Protocol):
    """The body of a request."""

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""

    @property
    def size(self) -> int:
        """The total length in bytes."""

    def blocks(self) -> AsyncGenerator[bytes]:
        """Yield the body in blocks; each call starts at the beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BytesBody:
    """A body in memory."""

    content_type: str
    data: bytes

    @property
    def size(self) -> int:
        """The total length in bytes."""
        return len(self.data)

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Yield the body."""
        yield self.data


def json_body(value: object) -> BytesBody:
    """Return ``value`` as ASCII JSON."""
    return encoded_json_body(json.dumps(value).encode("ascii"))


def encoded_json_body(data: bytes) -> BytesBody:
    """Return a body for ``data``, which is ASCII JSON.

    The type is ``application/json`` without a charset, which some servers reject.
    """
    return BytesBody(content_type="application/json", data=data)


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
    boundary: str = field(default_factory=lambda: f"syncd-{_random.getrandbits(128):032x}")

    @property
    def content_type(self) -> str:
        """The exact value of the Content-Type header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """The total length in bytes."""
        return len(self._head()) + self.file.size + len(self._tail())

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Yield the body in blocks.

        A small file and its form fields are one block, because each block is a separate write.
        """
        before = self._head()
        async for data in self.file.read():
            if len(before) + len(data) > _JOINED_BYTES:
                yield before
                before = data
            else:
                before += data
        if len(before) > _JOINED_BYTES:
            yield before
            before = b""
        yield before + self._tail()

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
