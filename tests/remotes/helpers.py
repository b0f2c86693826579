"""Helpers for tests of the remotes: files, settings, servers, and a short upload."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientResponse, web

from syncd.config.remotes import ImageRemote as ImageSettings
from syncd.config.remotes import MultipartRemote as MultipartSettings
from syncd.core.model import Content, Pending, Session, Stored
from syncd.remotes.base import Remote
from tests.support.data import POOL, random_bytes

NOW = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC"""
TOKEN = "tok-secret-1234"


class MemorySource:
    """A file in memory. Reads fail with ``failure`` from the offset ``fail_from``."""

    def __init__(self, data: bytes, *, name: str = "a.jpg", media_type: str = "image/jpeg") -> None:
        self.data = data
        self.name = name
        self.media_type = media_type
        self.failure: Exception | None = None
        self.fail_from = 0

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self, offset: int, length: int) -> bytes:
        if self.failure is not None and offset >= self.fail_from:
            raise self.failure
        piece = self.data[offset : offset + length]
        assert len(piece) == length, "read beyond the end"
        return piece


PIECE_BYTES = 64 * 1024


@dataclass
class CountingThrottle:
    """A throttle without a limit that records the sizes."""

    piece_bytes: int = PIECE_BYTES
    spent: list[int] = field(default_factory=list)
    wait: Callable[[], Awaitable[None]] | None = None

    async def acquire(self, size: int) -> None:
        if self.wait is not None:
            await self.wait()
        self.spent.append(size)


def image_settings(url: str, **values: Any) -> ImageSettings:
    timeout = values.pop("timeout", None)
    settings = ImageSettings(type="image", url=url, **values)
    return settings if timeout is None else settings.model_copy(update={"timeout": timeout})


def multipart_settings(url: str, **values: Any) -> MultipartSettings:
    timeout = values.pop("timeout", None)
    chunk_size = values.pop("chunk_size", None)
    settings = MultipartSettings(type="multipart", url=url, **{"pool_id": POOL, **values})
    update = {"timeout": timeout, "chunk_size": chunk_size}
    return settings.model_copy(update={key: value for key, value in update.items() if value is not None})


def binary_data(size: int) -> bytes:
    """Return random bytes that are neither ASCII nor a page."""
    return b"\xff" + random_bytes(size - 1, seed=size)


def ascii_text(size: int, *, start: bytes = b"") -> bytes:
    """Return ``size`` random letters, the first of them replaced by ``start``."""
    letters = random_bytes(size, seed=size).translate(bytes(97 + byte % 26 for byte in range(256)))
    return (start + letters)[:size]


def content_of(remote: Remote, data: bytes) -> Content:
    hasher = remote.hasher()
    hasher.update(data)
    return hasher.content()


async def upload(
    remote: Remote,
    source: MemorySource,
    session: Session | None = None,
    *,
    order: Callable[[list[int]], list[int]] = list,
    failures: int = 0,
) -> Stored:
    """Upload a file in one attempt: send all missing chunks concurrently, begun in ``order``."""
    content = content_of(remote, source.data)
    begun = await remote.begin(content, source, session, failures=failures)
    if isinstance(begun, Stored):
        return begun
    missing = order(list(begun.received.missing(begun.count)))
    receipts = await asyncio.gather(*(remote.send(begun, index, content, source) for index in missing))
    for receipt in receipts:
        if receipt.stored:
            return receipt.stored
        begun = replace(begun, needs_verification=begun.needs_verification or receipt.needs_verification)
    result = await remote.finish(begun, content, source)
    while isinstance(result, Pending):
        result = await remote.poll(result, content)
    return result


@asynccontextmanager
async def serve_app(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class ScriptedServer:
    """A server whose handler controls every byte of each connection."""

    port: int
    connections: int = 0
    seen: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Handle = Callable[[ScriptedServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """Read a request's head; return it and the length of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, int(lengths[0].split(b":")[1]) if lengths else 0


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read a whole request and return it."""
    head, length = await read_head(reader)
    return head + await reader.readexactly(length)


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as a crashed server does."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Writer:
    output_size = 0


class FakeResponse(ClientResponse):
    """A response with a stream writer: aiohttp 3.14 needs it, aioresponses 0.7.9 has none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=_Writer(), **kwargs)
