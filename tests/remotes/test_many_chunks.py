"""An upload of very many chunks that was interrupted: client and receiver agree on what is missing."""

import random
from pathlib import Path

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.model import Session, Stored
from syncd.receiver import upload as upload_module
from syncd.receiver.app import make_app
from syncd.receiver.file_io import ARRIVED
from syncd.receiver.settings import Settings
from tests.remotes.helpers import Memory, content_of, serving


def settings(folder: Path) -> Settings:
    return Settings(folder=str(folder), fsync=False, chunk_size=16, max_file_size=16_000_000)


async def create(remote_to, folder: Path, source: Memory) -> Session:
    async with serving(make_app(settings(folder))) as url:
        remote = remote_to("multipart", url, direct="never")
        begun = await remote.begin(content_of(remote, source.data), source, None, failures=0)
        assert isinstance(begun, Session)
        return begun


def let_arrive(folder: Path, task: str, data: bytes, there: list[int]) -> None:
    """Leave on the disk what the receiver has once these chunks have come."""
    marks = bytearray(max(there) + 1)
    for index in there:
        marks[index] = ARRIVED[0]
    upload = folder / "files/unfinished" / task
    with (upload / "data").open("r+b") as file:
        for index in there:
            file.seek(index * 16)
            file.write(data[index * 16 : index * 16 + 16])
    (upload / "arrived").write_bytes(marks)


async def go_on(remote_to, folder: Path, source: Memory, remembered: Session) -> int:
    """Send what is missing by what *resume* says; return how many chunks that were."""
    async with serving(make_app(settings(folder))) as url:
        remote = remote_to("multipart", url, direct="never")
        content = content_of(remote, source.data)
        resumed = await remote.begin(content, source, remembered, failures=1)
        assert resumed.token == remembered.token
        missing = list(resumed.received.missing(resumed.count))
        for index in missing:
            await remote.send(resumed, index, content, source)
        stored = await remote.finish(resumed, content, source)
        assert isinstance(stored, Stored)
        assert (folder / "files/finished" / stored.ref / "data").read_bytes() == source.data
        return len(missing)


async def test_more_chunks_than_a_list_has_room_for(remote_to, tmp_path):
    """200,000 chunks: a list of the 199,990 that are there has 1.3 MB."""
    source = Memory(random.Random(7).randbytes(200_000 * 16 - 3))
    begun = await create(remote_to, tmp_path, source)
    assert begun.count == 200_000
    there = [index for index in range(200_000) if index % 20_000 != 19_999]
    let_arrive(tmp_path, begun.token, source.data, there)
    assert await go_on(remote_to, tmp_path, source, begun) == 10


@pytest.mark.parametrize(("acknowledged", "sent"), [([0, 2, 4], 3), ([0, 2], 4), ([], 6)])
async def test_where_only_a_count_is_told_what_was_acknowledged_counts(
    remote_to, tmp_path, monkeypatch, acknowledged, sent
):
    monkeypatch.setattr(upload_module, "MAX_LISTED_CHUNKS", 2)
    source = Memory(random.Random(8).randbytes(6 * 16))
    begun = await create(remote_to, tmp_path, source)
    let_arrive(tmp_path, begun.token, source.data, [0, 2, 4])
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet(acknowledged)
    )
    assert await go_on(remote_to, tmp_path, source, remembered) == sent
