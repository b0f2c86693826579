"""*resume* of uploads with very many chunks: its response stays small, and uploads finish."""

import json
import random
from pathlib import Path

import pytest

from syncd.receiver.file_io import ARRIVED
from syncd.receiver.upload import MAX_LISTED_CHUNKS, list_chunks
from tests.receiver.conftest import Start, sha256
from tests.support.data import random_bytes

READABLE = 1024 * 1024  # the longest response that a client reads, in bytes


def read_chunks(document: dict) -> list[int] | None:
    """Return the chunks that a response lists, as indices or as ranges."""
    if "uploaded_ranges" in document:
        assert "uploaded_chunks" not in document
        return [index for first, last in document["uploaded_ranges"] for index in range(first, last + 1)]
    return document.get("uploaded_chunks")


def marks_of(indices: list[int]) -> bytes:
    marks = bytearray(max(indices, default=-1) + 1)
    for index in indices:
        marks[index] = ARRIVED[0]
    return bytes(marks)


MANY = 1_000_000
CASES = {
    "none": ([], "uploaded_chunks"),
    "the last": ([MANY - 1], "uploaded_chunks"),
    "as many as are listed": (list(range(7, 7 + MAX_LISTED_CHUNKS)), "uploaded_chunks"),
    "as many, apart": (list(range(MANY - 2 * MAX_LISTED_CHUNKS, MANY, 2)), "uploaded_chunks"),
    "one more": (list(range(MAX_LISTED_CHUNKS + 1)), "uploaded_ranges"),
    "all": (list(range(MANY)), "uploaded_ranges"),
    "all but one": ([index for index in range(MANY) if index != 5], "uploaded_ranges"),
    "as many ranges": ([index for index in range(MANY - 3 * MAX_LISTED_CHUNKS, MANY) if index % 3], "uploaded_ranges"),
    "every other": (list(range(0, MANY, 2)), None),
    "one range more": (list(range(0, 2 * MAX_LISTED_CHUNKS + 2, 2)), None),
}


@pytest.mark.parametrize("what", CASES)
def test_list_chunks_result_is_small(what: str) -> None:
    indices, field = CASES[what]
    document = list_chunks(marks_of(indices))
    assert document["chunks_uploaded"] == len(indices)
    assert set(document) == {"chunks_uploaded"} | ({field} if field else set())
    assert read_chunks(document) == (indices if field else None)
    assert len(json.dumps(document)) < READABLE / 4


def test_list_chunks_any_pattern_is_exact() -> None:
    dice = random.Random(5)
    for share in (0.001, 0.01, 0.5, 0.99, 0.999):
        indices = [index for index in range(30_000) if dice.random() < share]
        assert read_chunks(list_chunks(marks_of(indices))) == indices


async def test_upload_of_many_chunks_continues_after_restart(start: Start, folder: Path) -> None:
    """200,000 chunks of 16 bytes; all but two arrive before the receiver's restart."""
    data = random_bytes(200_000 * 16, 6)
    task = await (await start()).task(data, 16)
    upload = folder / "files/unfinished" / task
    (upload / "data").write_bytes(data)
    (upload / "arrived").write_bytes(marks_of([index for index in range(200_000) if index not in (5, 199_999)]))
    client = await start()
    document = await (await client.resume(task)).json()
    assert (document["chunks_count"], document["chunks_uploaded"]) == (200_000, 199_998)
    assert document["uploaded_ranges"] == [[0, 4], [6, 199_998]]
    for index in (5, 199_999):
        assert (await client.chunk(task, index, data[index * 16 : index * 16 + 16])).status == 200
    assert (await client.complete(task)).status == 200
    assert (await client.call("GET", f"/api/files/{sha256(data)}")).body == data
    document = await (await client.resume(task)).json()
    assert (document["chunks_uploaded"], document["uploaded_ranges"]) == (200_000, [[0, 199_999]])
