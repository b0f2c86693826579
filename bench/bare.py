"""Sends the requests of one API and nothing else: no store, no checks, no log.

It shows what the protocol of each API allows in Python.

.venv/bin/python -m bench.bare URL FOLDER {direct,chunked,image} IN_FLIGHT [CHUNK_BYTES]
"""

import asyncio
import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

BOUNDARY = "bench"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(name: str, data: bytes, **fields: str) -> bytes:
    head = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    head += (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return b"".join((head.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()))


async def direct(session: aiohttp.ClientSession, data: bytes, _chunk: int) -> None:
    body = form("file", data, hash=hashlib.sha256(data).hexdigest())
    async with session.post("/api/files/upload/direct", data=body, headers=HEADERS) as response:
        assert response.status == 200, await response.text()
        await response.json()


async def chunked(session: aiohttp.ClientSession, data: bytes, chunk: int) -> None:
    question = {"hash": hashlib.sha256(data).hexdigest(), "file_size": len(data), "chunk_size": chunk}
    async with session.post("/api/files/upload/create", json=question) as response:
        task = (await response.json())["task_id"]
    for index in range(-(-len(data) // chunk)):
        body = form("chunk", data[index * chunk : (index + 1) * chunk])
        async with session.post(f"/api/files/upload/chunk/{task}/{index}", data=body, headers=HEADERS) as response:
            assert response.status == 200, await response.text()
    async with session.post(f"/api/files/upload/complete/{task}") as response:
        assert response.status == 200, await response.text()


async def image(session: aiohttp.ClientSession, data: bytes, chunk: int) -> None:
    text = base64.urlsafe_b64encode(data).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    async with session.post("/image", json={"sha256": digest, "size": len(text), "chunk_size": chunk}) as response:
        assert response.status == 201, await response.text()
    for index in range(-(-len(text) // chunk)):
        part = text[index * chunk : (index + 1) * chunk]
        body = {"id": index, "size": len(part), "data": part}
        async with session.post(f"/image/{digest}/chunks", json=body) as response:
            assert response.status == 201, await response.text()


async def main(url: str, folder: str, kind: str, in_flight: int, chunk: int) -> None:
    send = {"direct": direct, "chunked": chunked, "image": image}[kind]
    paths = iter(sorted(Path(folder).iterdir()))  # noqa: ASYNC240 - before the work begins
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def worker(paths: Iterator[Path]) -> None:
            for path in paths:
                await send(session, path.read_bytes(), chunk)

        await asyncio.gather(*(worker(paths) for _ in range(in_flight)))


if __name__ == "__main__":
    url, folder, kind, in_flight, *rest = sys.argv[1:]
    work = main(url, folder, kind, int(in_flight), int(rest[0]) if rest else 5 * 1024 * 1024)
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)
