"""Races between calls of the store that HTTP requests cannot produce reliably."""

import asyncio
import threading
from pathlib import Path

import pytest

from syncd.receiver import file_io
from syncd.receiver.errors import DigestMismatchError, UploadEndedError
from syncd.receiver.storage import Store
from syncd.receiver.storage_limits import StorageLimits
from syncd.receiver.upload import Plan
from tests.receiver.conftest import sha256
from tests.support.clock import OffsetClock

DATA = b"data"
PLAN = Plan(digest=sha256(DATA), size=4, chunk_size=2)


@pytest.fixture
async def store(folder: Path, clock: OffsetClock) -> Store:
    limits = StorageLimits(str(folder), quota=None, reserve=0)
    store = Store(
        str(folder), limits=limits, names=None, fsync=False, max_unfinished=10, unfinished_age=3600, clock=clock
    )
    await store.recover()
    return store


async def test_ended_upload_does_not_change_next_upload_of_key(store: Store) -> None:
    old = await store.start(PLAN.digest, PLAN)
    assert old is not None
    await store.write(old, 0, b"xx")
    await store.write(old, 1, b"xx")
    with pytest.raises(DigestMismatchError):
        await store.finish(old)
    new = await store.start(PLAN.digest, PLAN)
    assert new is not None
    with pytest.raises(UploadEndedError):
        await store.write(old, 0, b"xx")
    await store.write(new, 0, b"da")
    with pytest.raises(UploadEndedError):
        await store.finish(old)
    await store.write(new, 1, b"ta")
    assert await store.finish(new) == PLAN
    assert file_io.read(store.path(PLAN.digest)) == DATA


async def test_sweep_keeps_upload_with_chunk_being_written(store: Store, clock: OffsetClock, monkeypatch) -> None:
    write_chunk, entered, go_on = file_io.write_chunk, threading.Event(), threading.Event()

    def blocked(*paths: str, **chunk) -> bool:
        entered.set()
        assert go_on.wait(10)
        return write_chunk(*paths, **chunk)

    monkeypatch.setattr(file_io, "write_chunk", blocked)
    upload = await store.start(PLAN.digest, PLAN)
    assert upload is not None
    writing = asyncio.create_task(store.write(upload, 0, b"da"))
    assert await asyncio.to_thread(entered.wait, 10)
    clock.offset = 4000
    assert await store.sweep() == []
    go_on.set()
    assert await writing
    assert await store.sweep() == [upload]
    assert store.unfinished == 0
