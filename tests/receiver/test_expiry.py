"""Content that is uploaded again keeps the latest requested expiry; none means forever."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from syncd.receiver import file_io, stored_files
from tests.receiver.conftest import ReceiverClient, Response, Start, sha256, split_chunks, tree
from tests.support.clock import OffsetClock

DATA = b"0123456789" * 30
SHA = sha256(DATA)
HOUR = 3600.0

Again = Callable[[ReceiverClient, dict[str, str]], Awaitable[Response]]


async def find(client: ReceiverClient, terms: dict[str, str]) -> Response:
    answer = await client.create(DATA, **terms)
    assert (await answer.json())["file_exists"] is True
    return answer


async def send_direct(client: ReceiverClient, terms: dict[str, str]) -> Response:
    form = aiohttp.FormData(terms)
    form.add_field("file", DATA, filename="a.png", content_type="image/png")
    return await client.call("POST", "/api/files/upload/direct", data=form)


async def send_chunks(client: ReceiverClient, terms: dict[str, str]) -> Response:
    """Send the chunks of an upload that began before the file was stored."""
    task = await client.task(DATA, 100, **terms)
    for index, piece in enumerate(split_chunks(DATA, 100)):
        assert (await client.chunk(task, index, piece)).status == 200
    return await client.complete(task)


def expiring_in(clock: OffsetClock, hours: float | None) -> dict[str, str]:
    if hours is None:
        return {}
    return {"expired_at": datetime.fromtimestamp(clock() + hours * HOUR, UTC).isoformat()}


async def is_here(client: ReceiverClient) -> bool:
    answer = await client.call("GET", f"/api/files/{SHA}")
    assert (answer.status, answer.body) == (200, DATA) or answer.status == 404
    return answer.status == 200


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(1, None, None), (1, 3, 3), (3, 1, 3), (None, 1, None), (None, None, None), (2, 2, 2)],
)
@pytest.mark.parametrize("again", [find, send_direct, send_chunks])
async def test_repeated_upload_keeps_later_expiry(
    start: Start,
    clock: OffsetClock,
    again: Again,
    first: float | None,
    second: float | None,
    kept: float | None,
    restarted,
) -> None:
    client = await start()
    terms = {hours: expiring_in(clock, hours) for hours in (first, second, kept)}
    if again is send_chunks:
        task = await client.task(DATA, 300, **terms[second])
        await send_direct(client, terms[first])
        assert (await client.chunk(task, 0, DATA)).status == 200
        answer = await client.complete(task)
    else:
        await send_direct(client, terms[first])
        answer = await again(client, terms[second])
    assert answer.status == 200
    document = await answer.json()
    assert document.get("file", document)["expired_at"] == terms[kept].get("expired_at")
    if restarted:
        client = await start()
    for hours in (0.9, 1.1, 1.9, 2.1, 2.9, 3.1, 100_000):
        clock.offset = hours * HOUR
        assert await is_here(client) == (kept is None or hours < kept), hours


@pytest.mark.parametrize("seed", range(5))
async def test_concurrent_uploads_keep_latest_expiry(
    client: ReceiverClient, clock: OffsetClock, folder: Path, seed: int
) -> None:
    """Concurrent uploads keep the latest expiry, in any order of their ends."""
    hours = [(index * 7 + seed) % 20 + 1 for index in range(20)]
    tasks = [await client.task(DATA, 300, **expiring_in(clock, hour)) for hour in hours[:10]]
    latest = expiring_in(clock, 20)["expired_at"][:16]

    async def finish(task: str) -> Response:
        await client.chunk(task, 0, DATA)
        return await client.complete(task)

    answers = await asyncio.gather(
        *(finish(task) for task in tasks), *(send_direct(client, expiring_in(clock, hour)) for hour in hours[10:])
    )
    assert {answer.status for answer in answers} == {200}
    assert (await (await find(client, expiring_in(clock, 1))).json())["file"]["expired_at"][:16] == latest
    clock.offset = 19.9 * HOUR
    assert await is_here(client)
    assert not tree(folder / "files/building")
    clock.offset = 20.1 * HOUR
    assert not await is_here(client)


@pytest.mark.parametrize("again", [find, send_direct])
@pytest.mark.parametrize("fsync", [True, False])
async def test_expiry_is_synced_before_confirmation(
    start: Start, clock: OffsetClock, monkeypatch, fsync, again
) -> None:
    client = await start(fsync=fsync)
    await send_direct(client, expiring_in(clock, 1))
    steps: list[str] = []
    sync, replace = stored_files.sync_path, os.replace
    plans: list[str] = []

    def recording_sync(path: str) -> None:
        if os.path.isfile(path) and os.path.basename(path) not in ("data", "plan.json"):
            plans.append(path)
            steps.append("sync the new plan")
        elif plans and os.path.isdir(path):
            steps.append(f"sync {os.path.basename(path)}")
        sync(path)

    def recording_replace(source: str, target: str) -> None:
        assert not fsync or source == plans[-1]
        steps.append(f"replace {os.path.basename(target)}")
        replace(source, target)

    monkeypatch.setattr(stored_files, "sync_path", recording_sync)
    monkeypatch.setattr(os, "replace", recording_replace)
    assert (await again(client, {})).status == 200
    synced = ["sync the new plan", "replace plan.json", f"sync {SHA}", "sync finished"]
    assert steps == (synced if fsync else ["replace plan.json"])


@pytest.mark.parametrize("again", [find, send_direct])
async def test_expiry_full_disk_is_not_confirmed(
    client: ReceiverClient, clock: OffsetClock, folder: Path, monkeypatch, again: Again
) -> None:
    await send_direct(client, expiring_in(clock, 1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        assert (await client.create(DATA)).status == 507
        assert (await send_direct(client, {})).status == 507
    assert not tree(folder / "files/building")
    await again(client, {})
    clock.offset = 2 * HOUR
    assert await is_here(client)


async def test_expiry_is_extended_before_verification(client: ReceiverClient, clock: OffsetClock, monkeypatch) -> None:
    """The expiry passes while *create* verifies the file."""
    await send_direct(client, expiring_in(clock, 1))
    has_digest = file_io.has_digest

    def slow(path: str, digest: str) -> bool:
        clock.offset = 2 * HOUR
        return has_digest(path, digest)

    monkeypatch.setattr(file_io, "has_digest", slow)
    await find(client, {})
    assert await is_here(client)


@pytest.mark.parametrize("again", [send_chunks, send_direct])
async def test_file_expiring_before_extension_is_sent_again(
    client: ReceiverClient, clock: OffsetClock, folder: Path, monkeypatch, again: Again
) -> None:
    """The file expires between its lookup and the write of the new expiry."""
    await send_direct(client, expiring_in(clock, 1))
    create = file_io.create

    def late(path: str, data: bytes = b"", *, size: int = 0) -> None:
        if b"expired_at" in bytes(data) and os.path.basename(path) != "plan.json":
            clock.offset = 2 * HOUR
        create(path, data, size=size)

    monkeypatch.setattr(file_io, "create", late)
    answer = await again(client, {})
    assert answer.status == 200
    assert (await answer.json())["expired_at"] is None
    assert clock.offset
    assert await is_here(client)
    assert not tree(folder / "files/building")


@pytest.mark.parametrize("again", [find, send_direct])
async def test_slow_upload_keeps_expiry_of_other_upload(
    client: ReceiverClient, clock: OffsetClock, monkeypatch, again: Again
) -> None:
    """The first upload pauses before it writes the expiry; the second requests a later one."""
    await send_direct(client, expiring_in(clock, 1))
    create, entered, go_on = file_io.create, threading.Event(), threading.Event()

    def blocked(path: str, data: bytes = b"", *, size: int = 0) -> None:
        create(path, data, size=size)
        if os.path.basename(path) != "plan.json" and b'"expired_at": "' in bytes(data):
            entered.set()
            assert go_on.wait(10)

    monkeypatch.setattr(file_io, "create", blocked)
    slow = asyncio.create_task(again(client, expiring_in(clock, 2)))
    assert await asyncio.to_thread(entered.wait, 10)
    await find(client, {})
    go_on.set()
    assert (await slow).status == 200
    clock.offset = 3 * HOUR
    assert await is_here(client)
