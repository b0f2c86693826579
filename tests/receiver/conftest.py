"""Fixtures with a receiver on a real socket, and a plain HTTP client for it.

The requests follow the API document, not the product's client.
"""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.support.clock import OffsetClock
from tests.support.data import POOL


class Response:
    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content_type = response.content_type if "Content-Type" in response.headers else None
        self.body = body
        self._response = response

    async def json(self) -> Any:
        return await self._response.json(content_type="application/json")


class ReceiverClient:
    """An HTTP client for the documented calls of both APIs."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def call(self, method: str, path: str, **kwargs: Any) -> Response:
        async with self.session.request(method, URL(self.url + path, encoded=True), **kwargs) as response:
            return Response(response, await response.read())

    async def register(self, text: str, chunk_size: int, /, **changes: Any) -> Response:
        payload = {"sha256": sha256(text.encode()), "size": len(text), "chunk_size": chunk_size, **changes}
        return await self.call("POST", "/image", json=payload)

    async def image_chunk(self, sha: str, index: int, data: str, /, **changes: Any) -> Response:
        payload = {"id": index, "size": len(data), "data": data, **changes}
        return await self.call("POST", f"/image/{sha}/chunks", json=payload)

    async def create(self, data: bytes, /, **changes: Any) -> Response:
        payload = {
            "hash": sha256(data),
            "file_name": "a photo.jpg",
            "file_size": len(data),
            "content_type": "image/jpeg",
            "pool_id": POOL,
            **changes,
        }
        present = {name: value for name, value in payload.items() if value is not ...}
        return await self.call("POST", "/api/files/upload/create", json=present)

    async def task(self, data: bytes, chunk_size: int, **changes: Any) -> str:
        answer = await self.create(data, chunk_size=chunk_size, **changes)
        assert answer.status == 200, answer.body
        return str((await answer.json())["task_id"])

    async def chunk(self, task: str, index: int | str, data: bytes) -> Response:
        form = aiohttp.FormData()
        form.add_field("chunk", io.BytesIO(data), filename="blob")
        return await self.call("POST", f"/api/files/upload/chunk/{task}/{index}", data=form)

    async def complete(self, task: str) -> Response:
        return await self.call("POST", f"/api/files/upload/complete/{task}")

    async def resume(self, task: str) -> Response:
        return await self.call("GET", f"/api/files/upload/resume/{task}")

    async def counters(self) -> dict[str, int]:
        return dict(await (await self.call("GET", "/v1/receiver")).json())


Start = Callable[..., Awaitable[ReceiverClient]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def split_chunks(data: Any, chunk_size: int) -> list[Any]:
    return [data[at : at + chunk_size] for at in range(0, len(data), chunk_size)]


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.fixture
def clock() -> OffsetClock:
    return OffsetClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def start(folder: Path, clock: OffsetClock) -> AsyncIterator[Start]:
    """Start a receiver with these settings; starting the next one stops it first."""
    running: list[tuple[asyncio.Task[None], asyncio.Event, aiohttp.ClientSession]] = []

    async def end() -> None:
        while running:
            task, stop, session = running.pop()
            await session.close()
            stop.set()
            await task

    async def begin(*, headers: dict[str, str] | None = None, **changes: Any) -> ReceiverClient:
        await end()
        settings = Settings(**({"folder": str(folder), "fsync": False} | changes))
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(
            serve(settings, host="127.0.0.1", port=0, ready=url.set_result, stop=stop, clock=clock)
        )
        await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        session = aiohttp.ClientSession(headers=headers)
        running.append((task, stop, session))
        return ReceiverClient(await url, session)

    yield begin
    await end()


@pytest.fixture
async def client(start: Start) -> ReceiverClient:
    return await start()
