"""The quota and the reserve are never exceeded, and deleted data no longer counts."""

import asyncio
import os
import random
import shutil
import subprocess
import threading
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from syncd.receiver import file_io
from syncd.receiver.settings import GIB, MIB
from syncd.receiver.storage_limits import default_reserve
from tests.receiver.conftest import ReceiverClient, Response, Start, sha256, split_chunks, tree
from tests.support.clock import OffsetClock
from tests.support.data import random_bytes
from tests.support.wait import wait_until

Disk = namedtuple("Disk", "total used free")
KB = 1000


def data_of(number: int, size: int = KB) -> bytes:
    return random_bytes(size, number)


def text_of(number: int, size: int = KB) -> str:
    return data_of(number, size).hex()[:size]


async def send_direct(client: ReceiverClient, data: bytes, **fields: str) -> Response:
    form = aiohttp.FormData(fields)
    form.add_field("file", data, filename="a.png", content_type="image/png")
    return await client.call("POST", "/api/files/upload/direct", data=form)


async def send_image(client: ReceiverClient, text: str) -> Response:
    answer = await client.register(text, len(text))
    return answer if answer.status != 201 else await client.image_chunk(sha256(text.encode()), 0, text)


async def refusal(answer: Response) -> str:
    """Return the message of a 507 response of either API."""
    assert answer.status == 507, answer.body
    body = await answer.json()
    assert body["code"] in ("507", "QUOTA_REACHED", "STORAGE_FULL")
    return body["message"]


def stored(folder: Path) -> int:
    """Return the stored bytes; unfinished uploads count with their full size."""
    return sum(path.stat().st_size for path in folder.rglob("data"))


async def used(client: ReceiverClient) -> int:
    return (await client.counters())["stored_bytes"]


async def test_quota_counts_all_content_of_both_apis(start: Start, folder: Path) -> None:
    client = await start(quota=4 * KB)
    assert (await send_direct(client, data_of(1))).status == 200
    assert (await send_image(client, text_of(2))).status == 201
    await client.task(data_of(3), 100)
    assert (await client.register(text_of(4), 100)).status == 201
    for _ in range(2):
        assert await used(client) == stored(folder) == 4 * KB
        for answer in (
            await client.create(b"x"),
            await client.register("x", 1),
            await send_direct(client, b"x"),
            await send_image(client, "x"),
        ):
            assert "quota of 4000 bytes (--quota), of which 4000 are used" in await refusal(answer)
        client = await start(quota=4 * KB)
    client = await start(quota=4 * KB + 1)
    assert (await send_direct(client, b"x")).status == 200
    await refusal(await send_direct(client, b"y"))


async def test_accepted_upload_can_finish(start: Start) -> None:
    """The space of an upload is reserved when it starts."""
    client = await start(quota=3 * KB)
    data = data_of(1, 2 * KB)
    task = await client.task(data, KB)
    assert (await send_direct(client, data_of(2))).status == 200
    await refusal(await send_direct(client, data_of(3)))
    for index, piece in enumerate(split_chunks(data, KB)):
        assert (await client.chunk(task, index, piece)).status == 200
    assert (await client.complete(task)).status == 200
    assert await used(client) == 3 * KB


@pytest.mark.parametrize("kind", ["create", "direct", "register"])
async def test_concurrent_uploads_stay_within_quota(start: Start, folder: Path, kind: str) -> None:
    client = await start(quota=10 * KB)
    calls = {
        "create": lambda number: client.create(data_of(number)),
        "direct": lambda number: send_direct(client, data_of(number)),
        "register": lambda number: client.register(text_of(number), KB),
    }
    answers = await asyncio.gather(*(calls[kind](number) for number in range(30)))
    assert sorted(answer.status for answer in answers) == [201 if kind == "register" else 200] * 10 + [507] * 20
    assert stored(folder) == 10 * KB == await used(client)


async def test_stored_content_needs_no_quota(start: Start) -> None:
    client = await start(quota=KB)
    data = data_of(1)
    assert (await send_direct(client, data)).status == 200
    assert (await (await client.create(data)).json())["file_exists"] is True
    assert (await send_direct(client, data)).status == 200
    assert (await send_direct(client, b"x" * KB, hash=sha256(data))).status == 507
    assert await used(client) == KB


async def test_lowered_quota_keeps_stored_files(start: Start) -> None:
    data = data_of(1)
    await send_direct(await start(), data)
    client = await start(quota=10)
    assert (await client.call("GET", f"/api/files/{sha256(data)}")).body == data
    await refusal(await send_direct(client, b"x"))


async def test_dropped_upload_frees_quota(start: Start, clock: OffsetClock, folder: Path) -> None:
    client = await start(quota=3 * KB, unfinished_age=3600)

    async def is_free() -> bool:
        return await used(client) == stored(folder) == 0

    # a wrong hash, in one request and in chunks, of a file and of an image
    assert (await send_direct(client, data_of(1), hash=sha256(b"other"))).status == 400
    task = await client.task(data_of(2), KB, hash=sha256(b"other"))
    await client.chunk(task, 0, data_of(2))
    assert (await client.complete(task)).status == 400
    await client.register(text_of(3), KB)
    assert (await client.image_chunk(sha256(text_of(3).encode()), 0, text_of(4))).status == 400
    assert await is_free()

    # concurrent uploads of the same content
    tasks = [await client.task(data_of(5), KB) for _ in range(3)]
    for task in tasks:
        await client.chunk(task, 0, data_of(5))
    assert {(await client.complete(task)).status for task in tasks} == {200}
    assert await used(client) == stored(folder) == KB
    (folder / "files/finished" / sha256(data_of(5)) / "data").write_bytes(bytes(KB))
    assert (await (await client.create(data_of(5))).json())["file_exists"] is False  # the stored copy is damaged
    assert await used(client) == stored(folder) == KB

    # an abandoned upload and a file that expires
    moment = datetime.fromtimestamp(clock() + 3000, UTC).isoformat()
    assert (await send_direct(client, data_of(6), expired_at=moment)).status == 200
    clock.offset = 4000
    client = await start(quota=3 * KB, unfinished_age=0.2)
    await wait_until(is_free)


async def test_disk_error_frees_quota(start: Start, folder: Path, monkeypatch) -> None:
    client = await start(quota=3 * KB)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", fail)
        assert (await send_direct(client, data_of(1))).status == 500
        assert (await client.create(data_of(1))).status == 500
        assert (await client.register(text_of(1), KB)).status == 500
    assert await used(client) == stored(folder) == 0
    assert not tree(folder / "files/building")


@pytest.mark.parametrize("seed", range(8))
async def test_used_space_equals_stored_size_after_any_calls(
    start: Start, clock: OffsetClock, folder: Path, seed: int
) -> None:
    dice = random.Random(seed)
    client = await start(quota=8 * KB, unfinished_age=3600)
    tasks: list[tuple[str, bytes]] = []

    async def step() -> None:
        data = data_of(dice.randrange(6), dice.choice([500, KB]))
        terms = {}
        if dice.random() < 0.3:
            terms["expired_at"] = datetime.fromtimestamp(clock() + dice.randrange(1, 7200), UTC).isoformat()
        what = dice.randrange(5)
        if what == 0:
            await send_direct(client, data, **terms)
        elif what == 1:
            created = await (await client.create(data, **terms)).json()
            tasks.extend([(created["task_id"], data)] if "task_id" in created else [])
        elif what in (2, 3) and tasks:
            task, data = tasks.pop(dice.randrange(len(tasks)))
            await client.chunk(task, 0, data if dice.random() < 0.8 else bytes(len(data)))
            await client.complete(task)
        elif what == 4:
            await send_image(client, data.hex()[: len(data)])

    for _ in range(60):
        await asyncio.gather(*(step() for _ in range(dice.choice([1, 1, 4]))))
        if dice.random() < 0.1:
            clock.offset += dice.randrange(4000)
        if dice.random() < 0.1:
            client = await start(quota=8 * KB, unfinished_age=3600)
        assert await used(client) == stored(folder) <= 8 * KB


# The reserve.


@pytest.fixture
def free(monkeypatch):
    """Set the free disk space: `free[0]` bytes of 1000 GiB."""
    free_bytes = [100 * GIB]

    def usage(_: str) -> Disk:
        return Disk(1000 * GIB, 0, free_bytes[0])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return free_bytes


async def test_reserve_applies_to_both_apis(start: Start, free, folder: Path) -> None:
    client = await start(reserve=GIB)
    data, text = data_of(1, 2 * KB), text_of(2, 2 * KB)
    task = await client.task(data, KB)
    assert (await client.register(text, KB)).status == 201
    sha = sha256(text.encode())
    free[0] = GIB + KB - 1  # other programs have filled the disk
    for answer in (
        await client.create(data_of(3)),
        await client.chunk(task, 0, data[:KB]),
        await send_direct(client, data_of(3)),
        await client.register(text_of(3), KB),
        await client.image_chunk(sha, 0, text[:KB]),
    ):
        message = await refusal(answer)
        assert f"the reserve of {GIB} bytes of disk space (--reserve): {free[0]} bytes are free." in message
    assert stored(folder) == 4 * KB  # only the uploads that had started
    free[0] += 1
    for index, piece in enumerate(split_chunks(data, KB)):
        assert (await client.chunk(task, index, piece)).status == 200
    for index, piece in enumerate(split_chunks(text, KB)):
        assert (await client.image_chunk(sha, index, piece)).status == 201
    assert (await client.complete(task)).status == 200
    assert (await send_direct(client, data_of(3))).status == 200
    assert (await client.create(data_of(4, KB + 1))).status == 507


async def test_reserve_counts_writes_in_progress(start: Start, free, monkeypatch) -> None:
    client = await start(reserve=GIB)
    tasks = [await client.task(data_of(number), KB) for number in range(2)]
    free[0] = GIB + KB
    write_chunk, entered, go_on = file_io.write_chunk, threading.Event(), threading.Event()

    def blocked(*paths: str, **chunk) -> bool:
        entered.set()
        assert go_on.wait(10)
        return write_chunk(*paths, **chunk)

    monkeypatch.setattr(file_io, "write_chunk", blocked)
    first = asyncio.create_task(client.chunk(tasks[0], 0, data_of(0)))
    assert await asyncio.to_thread(entered.wait, 10)
    await refusal(await client.chunk(tasks[1], 0, data_of(1)))
    go_on.set()
    assert (await first).status == 200
    assert (await client.chunk(tasks[1], 0, data_of(1))).status == 200


async def test_reserve_unknown_disk_size_is_ignored(start: Start, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, 0))
    client = await start(reserve=GIB)
    assert (await send_direct(client, data_of(1))).status == 200


@pytest.mark.parametrize(("total", "reserve"), [(1000 * GIB, GIB), (20 * GIB, GIB), (10 * GIB, GIB // 2), (0, 0)])
def test_default_reserve_is_one_gib_or_a_twentieth(monkeypatch, tmp_path, total: int, reserve: int) -> None:
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or Disk(total, 0, 0))
    assert default_reserve(str(tmp_path / "still/to be made")) == reserve
    assert asked == [str(tmp_path)]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.e2e
@pytest.mark.unix
async def test_small_disk_is_filled_to_its_reserve(start: Start, small_disk: Path) -> None:
    """Concurrent uploads to a real file system."""
    client = await start(folder=str(small_disk), reserve=2 * MIB)
    answers = await asyncio.gather(*(send_direct(client, data_of(number, 200_000)) for number in range(20)))
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 507}
    assert 3 < statuses.count(200) < 11
    assert shutil.disk_usage(small_disk).free >= 2 * MIB
    assert {(await answer.json())["code"] for answer in answers if answer.status == 507} == {"STORAGE_FULL"}
