"""Test that client and receiver agree on the missing chunks of a very large upload."""

from pathlib import Path

import pytest

from syncd.core.chunks import ChunkSet
from syncd.core.model import Session, Stored
from syncd.receiver import upload as upload_module
from syncd.receiver.app import make_app
from syncd.receiver.file_io import ARRIVED
from syncd.receiver.settings import Settings
from tests.remotes.helpers import MemorySource, content_of, serve_app
from tests.support.data import random_bytes


def settings(folder: Path) -> Settings:
    return Settings(folder=str(folder), fsync=False, chunk_size=16, max_file_size=16_000_000)


async def create(make_client, folder: Path, source: MemorySource) -> Session:
    async with serve_app(make_app(settings(folder))) as url:
        remote = make_client("multipart", url, direct="never")
        begun = await remote.begin(content_of(remote, source.data), source, None, failures=0)
        assert isinstance(begun, Session)
        return begun


def write_received_chunks(folder: Path, task: str, data: bytes, there: list[int]) -> None:
    """Write the files that the receiver has after it received the chunks ``there``."""
    marks = bytearray(max(there) + 1)
    for index in there:
        marks[index] = ARRIVED[0]
    upload = folder / "files/unfinished" / task
    with (upload / "data").open("r+b") as file:
        for index in there:
            file.seek(index * 16)
            file.write(data[index * 16 : index * 16 + 16])
    (upload / "arrived").write_bytes(marks)


async def resume_upload(make_client, folder: Path, source: MemorySource, remembered: Session) -> int:
    """Send the chunks that are missing according to *resume*; return their number."""
    async with serve_app(make_app(settings(folder))) as url:
        remote = make_client("multipart", url, direct="never")
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


async def test_resume_200_000_chunks_sends_missing_only(make_client, tmp_path):
    """A list of the 199,990 received chunks would have 1.3 MB, more than a response may have."""
    source = MemorySource(random_bytes(200_000 * 16 - 3))
    begun = await create(make_client, tmp_path, source)
    assert begun.count == 200_000
    there = [index for index in range(200_000) if index % 20_000 != 19_999]
    write_received_chunks(tmp_path, begun.token, source.data, there)
    assert await resume_upload(make_client, tmp_path, source, begun) == 10


@pytest.mark.parametrize(("acknowledged", "sent"), [([0, 2, 4], 3), ([0, 2], 4), ([], 6)])
async def test_resume_with_count_alone_trusts_acknowledged(make_client, tmp_path, monkeypatch, acknowledged, sent):
    monkeypatch.setattr(upload_module, "MAX_LISTED_CHUNKS", 2)
    source = MemorySource(random_bytes(6 * 16))
    begun = await create(make_client, tmp_path, source)
    write_received_chunks(tmp_path, begun.token, source.data, [0, 2, 4])
    remembered = Session(
        token=begun.token, chunk_size=begun.chunk_size, count=begun.count, received=ChunkSet(acknowledged)
    )
    assert await resume_upload(make_client, tmp_path, source, remembered) == sent
