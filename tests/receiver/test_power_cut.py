"""The possible states of the files after a power cut, and the effect of `fsync` on them."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from syncd.receiver import stored_files
from tests.receiver.conftest import ReceiverClient, Start, sha256, split_chunks

DATA = b"0123456789" * 100
SHA = sha256(DATA)


async def send(client: ReceiverClient) -> str:
    task = await client.task(DATA, 400)
    for index, piece in enumerate(split_chunks(DATA, 400)):
        assert (await client.chunk(task, index, piece)).status == 200
    return task


async def stored(client: ReceiverClient) -> bytes | None:
    answer = await client.call("GET", f"/api/files/{SHA}")
    return answer.body if answer.status == 200 else None


@pytest.mark.parametrize("fsync", [True, False])
async def test_complete_syncs_file_before_rename(start: Start, monkeypatch, fsync: bool) -> None:
    client = await start(fsync=fsync)
    task = await send(client)
    steps: list[str] = []
    sync, rename = stored_files.sync_path, os.rename

    def recording_sync(path: str) -> None:
        steps.append(f"sync {Path(path).name}")
        sync(path)

    def recording_rename(source: str, target: str) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(stored_files, "sync_path", recording_sync)
    monkeypatch.setattr(os, "rename", recording_rename)
    assert (await client.complete(task)).status == 200
    synced = ["sync data", "sync plan.json", f"sync {task}", "rename", "sync finished"]
    assert steps == (synced if fsync else ["rename"])


async def test_lost_chunk_with_mark_fails_hash_check(start: Start, folder: Path) -> None:
    task = await send(await start())
    (folder / "files/unfinished" / task / "data").write_bytes(DATA[:400] + bytes(400) + DATA[800:])
    client = await start()
    assert (await (await client.complete(task)).json())["code"] == "HASH_MISMATCH"
    assert await stored(client) is None
    await client.complete(await send(client))
    assert await stored(client) == DATA


@pytest.mark.parametrize("name", ["plan.json", "arrived"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"[", None])
async def test_unreadable_upload_is_dropped(start: Start, folder: Path, name: str, damage) -> None:
    task = await send(await start())
    path = folder / "files/unfinished" / task / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    client = await start()
    answer = await client.complete(task)
    assert answer.status == (404 if name == "plan.json" or damage is None else 400)
    await client.complete(await send(client))
    assert await stored(client) == DATA


@pytest.mark.parametrize("name", ["plan.json", "data"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", None])
async def test_damaged_stored_file_can_be_uploaded_again(start: Start, folder: Path, name: str, damage) -> None:
    client = await start()
    await client.complete(await send(client))
    path = folder / "files/finished" / SHA / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with capture_logs() as lines:
        assert await stored(client) is None
    assert "receiver.damaged" in [line["event"] for line in lines]
    await client.complete(await send(client))
    assert await stored(client) == DATA


async def test_start_empties_staging_folder(start: Start, folder: Path) -> None:
    await start()
    (folder / "files/building/half").mkdir()
    (folder / "files/building/half/data").write_bytes(b"x")
    (folder / "files/building/note").write_bytes(b"x")
    await start()
    assert os.listdir(folder / "files/building") == []
