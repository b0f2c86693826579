"""``kill -9`` at random times: acknowledged data is there after a restart."""

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.receiver.conftest import ReceiverClient, sha256, split_chunks
from tests.support.data import random_bytes

pytestmark = pytest.mark.e2e

SCRIPT = """
import asyncio, sys
from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings

settings = Settings(folder=sys.argv[1], fsync=False)
ready = lambda url: print("ready", url, flush=True)
asyncio.run(serve(settings, host="127.0.0.1", port=0, ready=ready, stop=asyncio.Event()))
"""
CHUNK = 4096
DATA = random_bytes(200 * CHUNK + 17, 9)
TEXT = DATA.hex()[: len(DATA)]
LOST = (aiohttp.ClientError, ConnectionError)


class Process:
    """A receiver in a separate process, and its client."""

    def __init__(self, process: asyncio.subprocess.Process, client: ReceiverClient) -> None:
        self._process = process
        self.client = client

    async def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


@contextlib.asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = ""
    async with asyncio.timeout(30):
        while not url.startswith("http"):
            url = (await process.stdout.readline()).decode().strip().removeprefix("ready ")
    draining = asyncio.create_task(process.stdout.read())
    async with aiohttp.ClientSession() as session:
        running = Process(process, ReceiverClient(url, session))
        try:
            yield running
        finally:
            if process.returncode is None:
                await running.kill()
            await draining


async def send_until_killed(process: Process, sends: list, kill_after: int) -> set[int]:
    """Send all requests concurrently; kill the process after ``kill_after`` acknowledgements.

    Returns the indices of the acknowledged requests.
    """
    acknowledged: set[int] = set()
    killing: list[asyncio.Task[None]] = []

    async def one(index: int, send) -> None:
        with contextlib.suppress(*LOST):
            if (await send()).status in (200, 201):
                acknowledged.add(index)
                if len(acknowledged) >= kill_after and not killing:
                    killing.append(asyncio.create_task(process.kill()))

    await asyncio.gather(*(one(index, send) for index, send in enumerate(sends)))
    await asyncio.gather(*killing)
    return acknowledged


@pytest.mark.parametrize("kill_after", [1, 60, 190])
async def test_multipart_kill_keeps_acknowledged_chunks(tmp_path: Path, kill_after: int) -> None:
    async with receiver(tmp_path) as process:
        client = process.client
        task = await client.task(DATA, CHUNK)
        pieces = split_chunks(DATA, CHUNK)
        sends = [lambda i=i, p=p, c=client: c.chunk(task, i, p) for i, p in enumerate(pieces[:-1])]
        acknowledged = await send_until_killed(process, sends, kill_after)
    assert len(acknowledged) >= kill_after
    async with receiver(tmp_path) as process:
        client = process.client
        there = set((await (await client.resume(task)).json())["uploaded_chunks"])
        assert acknowledged <= there
        for index in set(range(len(pieces))) - there:
            assert (await client.chunk(task, index, pieces[index])).status == 200
        assert (await client.complete(task)).status == 200
        assert (await client.call("GET", f"/api/files/{sha256(DATA)}")).body == DATA


@pytest.mark.parametrize("kill_after", [1, 60, 190])
async def test_image_kill_keeps_acknowledged_chunks(tmp_path: Path, kill_after: int) -> None:
    sha = sha256(TEXT.encode())
    async with receiver(tmp_path) as process:
        client = process.client
        assert (await client.register(TEXT, CHUNK)).status == 201
        pieces = split_chunks(TEXT, CHUNK)
        sends = [lambda i=i, p=p, c=client: c.image_chunk(sha, i, p) for i, p in enumerate(pieces[:-1])]
        acknowledged = await send_until_killed(process, sends, kill_after)
    assert len(acknowledged) >= kill_after
    async with receiver(tmp_path) as process:
        client = process.client
        statuses = [(await client.image_chunk(sha, index, piece)).status for index, piece in enumerate(pieces)]
        assert set(statuses) == {201, 409}
        assert {statuses[index] for index in acknowledged} == {409}
        assert (await client.call("GET", f"/image/{sha}")).body == TEXT.encode()


@pytest.mark.parametrize("kill_after", [1, 20, 60])
async def test_kill_keeps_confirmed_expiry(tmp_path: Path, kill_after: int) -> None:
    """Each *create* requests a new expiry of the same file; the last acknowledged one is kept."""
    hours = random.Random(kill_after).sample(range(2, 100), 98)
    now = datetime.now(UTC)
    data = DATA[:5000]

    def expiry_at(hour: int) -> str:
        return (now + timedelta(hours=hour)).isoformat()

    async with receiver(tmp_path) as process:
        client = process.client
        task = await client.task(data, len(data), expired_at=expiry_at(1))
        await client.chunk(task, 0, data)
        assert (await client.complete(task)).status == 200
        sends = [lambda h=hour, c=client: c.create(data, expired_at=expiry_at(h)) for hour in hours]
        acknowledged = await send_until_killed(process, sends, kill_after)
    assert len(acknowledged) >= kill_after
    async with receiver(tmp_path) as process:
        client = process.client
        file = (await (await client.create(data, expired_at=expiry_at(1))).json())["file"]
        assert datetime.fromisoformat(file["expired_at"]) >= now + timedelta(hours=max(hours[i] for i in acknowledged))
        assert (await client.call("GET", f"/api/files/{sha256(data)}")).body == data


async def test_kill_during_complete_leaves_file_stored_or_resumable(tmp_path: Path) -> None:
    files = [random_bytes(3000, seed) for seed in range(100)]
    tasks: dict[int, str] = {}

    async with receiver(tmp_path) as process:
        client = process.client

        async def send(index: int):
            tasks[index] = await client.task(files[index], 1000)
            for number, piece in enumerate(split_chunks(files[index], 1000)):
                await client.chunk(tasks[index], number, piece)
            return await client.complete(tasks[index])

        sends = [lambda i=i: send(i) for i in range(len(files))]
        completed = await send_until_killed(process, sends, kill_after=15)
    assert len(completed) >= 15
    async with receiver(tmp_path) as process:
        client = process.client
        for index in completed:
            assert (await client.call("GET", f"/api/files/{sha256(files[index])}")).body == files[index]
        for index, task in tasks.items():
            there = (await (await client.resume(task)).json())["uploaded_chunks"]
            for number, piece in enumerate(split_chunks(files[index], 1000)):
                if number not in there:
                    assert (await client.chunk(task, number, piece)).status == 200
            assert (await client.complete(task)).status == 200
            assert (await client.call("GET", f"/api/files/{sha256(files[index])}")).body == files[index]
