import asyncio
import io
import random
import time
from pathlib import Path

import pytest

from syncd.receiver import file_io
from tests.receiver.conftest import ReceiverClient, Start, sha256, split_chunks
from tests.support.clock import OffsetClock

ART = "  8   888   ,\n" * 100
SHA = sha256(ART.encode())


async def upload(client: ReceiverClient, text: str, chunk_size: int) -> None:
    assert (await client.register(text, chunk_size)).status == 201
    sha = sha256(text.encode())
    for index, piece in enumerate(split_chunks(text, chunk_size)):
        assert (await client.image_chunk(sha, index, piece)).status == 201


async def assert_refused(answer, status: int, message: str) -> None:
    assert answer.status == status, answer.body
    assert answer.content_type == "application/json"
    body = await answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == str(status)
    assert message in body["message"]


async def test_upload_in_chunks_can_be_downloaded_as_text(client: ReceiverClient) -> None:
    await upload(client, ART, 256)
    answer = await client.call("GET", f"/image/{SHA}", headers={"Accept": "text/plain"})
    assert (answer.status, answer.content_type) == (200, "text/plain")
    assert answer.body == ART.encode()


async def test_register_returns_201_then_409(client: ReceiverClient) -> None:
    assert (await client.register(ART, 256)).status == 201
    await assert_refused(await client.register(ART, 256), 409, "already exists")
    await assert_refused(await client.register(ART, 512), 409, "already exists")
    for index, piece in enumerate(split_chunks(ART, 256)):
        await client.image_chunk(SHA, index, piece)
    await assert_refused(await client.register(ART, 256), 409, "already exists")


async def test_concurrent_registrations_one_gets_201(client: ReceiverClient) -> None:
    answers = await asyncio.gather(*(client.register(ART, 256) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19


async def test_chunks_in_any_order_are_accepted(client: ReceiverClient) -> None:
    text = "".join(random.Random(7).choices("ABCDEFGHabcdefgh-_=", k=100_003))
    sha = sha256(text.encode())
    assert (await client.register(text, 1000)).status == 201
    pieces = list(enumerate(split_chunks(text, 1000)))
    random.Random(8).shuffle(pieces)
    answers = await asyncio.gather(*(client.image_chunk(sha, index, piece) for index, piece in pieces))
    assert {answer.status for answer in answers} == {201}
    assert (await client.call("GET", f"/image/{sha}")).body == text.encode()
    counters = await client.counters()
    assert (counters["chunks_received"], counters["images"], counters["unfinished"]) == (101, 1, 0)


async def test_repeated_chunk_returns_409(client: ReceiverClient) -> None:
    await client.register(ART, 1000)
    assert (await client.image_chunk(SHA, 0, ART[:1000])).status == 201
    await assert_refused(await client.image_chunk(SHA, 0, "x" * 1000), 409, "already exists")
    assert (await client.image_chunk(SHA, 1, ART[1000:])).status == 201
    await assert_refused(await client.image_chunk(SHA, 1, ART[1000:]), 409, "complete")
    assert (await client.call("GET", f"/image/{SHA}")).body == ART.encode()
    assert (await client.counters())["chunks_repeated"] == 2


async def test_concurrent_same_chunk_one_gets_201(client: ReceiverClient, monkeypatch) -> None:
    write_chunk, writing, most = file_io.write_chunk, [], []

    def slowly(*paths: str, **chunk) -> bool:
        writing.append(chunk)
        most.append(len(writing))
        time.sleep(0.002)  # so that concurrent writes would overlap
        try:
            return write_chunk(*paths, **chunk)
        finally:
            writing.pop()

    monkeypatch.setattr(file_io, "write_chunk", slowly)
    await client.register(ART, 1000)
    answers = await asyncio.gather(*(client.image_chunk(SHA, 0, ART[:1000]) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    assert max(most) == 1


async def test_repeated_last_chunk_during_finish_returns_409(client: ReceiverClient, monkeypatch) -> None:
    has_digest = file_io.has_digest

    def slowly(path: str, digest: str) -> bool:
        time.sleep(0.05)  # so that the repeats arrive during the check
        return has_digest(path, digest)

    monkeypatch.setattr(file_io, "has_digest", slowly)
    await client.register(ART, len(ART))
    answers = await asyncio.gather(*(client.image_chunk(SHA, 0, ART) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    counters = await client.counters()
    assert (counters["images"], counters["chunks_received"], counters["chunks_repeated"]) == (1, 1, 19)


async def test_download_incomplete_image_returns_404(client: ReceiverClient) -> None:
    await client.register(ART, 1000)
    await client.image_chunk(SHA, 0, ART[:1000])
    await assert_refused(await client.call("GET", f"/image/{SHA}"), 404, "not found")


async def test_unknown_image_returns_404(client: ReceiverClient) -> None:
    await assert_refused(await client.image_chunk(SHA, 0, ART[:1000]), 404, "not found")
    await assert_refused(await client.call("GET", f"/image/{SHA}"), 404, "not found")


async def test_wrong_hash_fails_last_chunk_and_drops_image(client: ReceiverClient) -> None:
    await client.register(ART, 1000)
    assert (await client.image_chunk(SHA, 1, "x" * 400)).status == 201
    await assert_refused(await client.image_chunk(SHA, 0, ART[:1000]), 400, "hash")
    await assert_refused(await client.image_chunk(SHA, 0, ART[:1000]), 404, "not found")
    await upload(client, ART, 700)
    assert (await client.call("GET", f"/image/{SHA}")).body == ART.encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": SHA.upper()}, "sha256"),
        ({"sha256": SHA + "\n"}, "sha256"),
        ({"sha256": 5}, "sha256"),
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": "12"}, "size"),
        ({"size": True}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": 10**100}, "size"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk_size": None}, "chunk_size"),
        ({"size": 3_000_000, "chunk_size": 2_000_000}, "chunk_size"),
        ({"size": 3_000_000, "chunk_size": 1}, "chunk_size"),
    ],
)
async def test_register_invalid_field_is_named(client: ReceiverClient, changes, message: str) -> None:
    await assert_refused(await client.register(ART, 256, **changes), 400, message)
    assert (await client.counters())["unfinished"] == 0


@pytest.mark.parametrize("missing", ["sha256", "size", "chunk_size"])
async def test_register_missing_field_is_named(client: ReceiverClient, missing: str) -> None:
    payload = {"sha256": SHA, "size": 1, "chunk_size": 1}
    del payload[missing]
    answer = await client.call("POST", "/image", json=payload)
    await assert_refused(answer, 400, f"{missing} field is missing.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": -1}, "id"),
        ({"id": 2}, "from 0 to 1"),
        ({"id": "0"}, "id"),
        ({"id": False}, "id"),
        ({"size": 999}, "size"),
        ({"data": "x" * 999}, "1000 characters, not 999"),
        ({"data": "x" * 1001}, "data"),
        ({"data": ""}, "data"),
        ({"data": ["x"]}, "data"),
        ({"data": "é" * 1000}, "ASCII"),
        ({"data": "\ud800" * 1000}, "Unicode"),
        ({"id": 1}, "size"),
    ],
)
async def test_invalid_chunk_is_rejected_and_not_stored(client: ReceiverClient, changes, message: str) -> None:
    await client.register(ART, 1000)
    answer = await client.image_chunk(SHA, 0, ART[:1000], **changes)
    await assert_refused(answer, 400, message)
    assert (await client.image_chunk(SHA, 0, ART[:1000])).status == 201


async def test_missing_chunk_id_returns_documented_error(client: ReceiverClient) -> None:
    await client.register(ART, 1000)
    answer = await client.call("POST", f"/image/{SHA}/chunks", json={"size": 1, "data": "x"})
    assert await answer.json() == {"code": "400", "message": "Chunk ID field is missing."}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 3000])
async def test_malformed_json_returns_400(client: ReceiverClient, body: bytes) -> None:
    await client.register(ART, 1000)
    answer = await client.call("POST", f"/image/{SHA}/chunks", data=body, headers={"Content-Type": "application/json"})
    await assert_refused(answer, 400, "JSON")


@pytest.mark.parametrize("path", ["/image", f"/image/{SHA}/chunks"])
async def test_other_content_type_returns_415(client: ReceiverClient, path: str) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
        answer = await client.call("POST", path, data=b"{}", headers={"Content-Type": kind})
        await assert_refused(answer, 415, "application/json")


async def test_content_type_with_charset_is_accepted(client: ReceiverClient) -> None:
    body = b'{"sha256": "%s", "size": 1400, "chunk_size": 256}' % SHA.encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.call("POST", "/image", data=body, headers=headers)).status == 201


async def test_body_over_limit_returns_413(client: ReceiverClient) -> None:
    await client.register("x" * 1_500_000, 1_000_000)
    sha = sha256(b"x" * 1_500_000)
    assert (await client.image_chunk(sha, 0, "x" * 1_000_000)).status == 201
    answer = await client.call(
        "POST",
        f"/image/{sha}/chunks",
        data=io.BytesIO(b" " * 1_048_577),
        headers={"Content-Type": "application/json"},
    )
    await assert_refused(answer, 413, "larger")

    async def unannounced():
        for _ in range(40):
            yield b" " * 32_768

    answer = await client.call(
        "POST", f"/image/{sha}/chunks", data=unannounced(), headers={"Content-Type": "application/json"}
    )
    await assert_refused(answer, 413, "larger")


async def test_register_over_limit_returns_503(start: Start, clock: OffsetClock) -> None:
    client = await start(max_unfinished=2)
    await client.register("one", 1)
    await client.register("two", 1)
    answer = await client.register("three", 1)
    await assert_refused(answer, 503, "unfinished")
    assert int(answer.headers["Retry-After"]) > 0
    await client.image_chunk(sha256(b"one"), 0, "o")
    await client.image_chunk(sha256(b"one"), 1, "n")
    await client.image_chunk(sha256(b"one"), 2, "e")
    assert (await client.register("three", 1)).status == 201


async def test_expired_image_can_be_registered_again(start: Start, clock: OffsetClock) -> None:
    client = await start(unfinished_age=3600)
    await client.register(ART, 1000)
    await client.image_chunk(SHA, 0, ART[:1000])
    clock.offset = 3000
    assert (await client.register(ART, 700)).status == 409
    clock.offset = 4000
    await assert_refused(await client.image_chunk(SHA, 1, ART[1000:]), 404, "not found")
    await upload(client, ART, 700)
    assert (await client.call("GET", f"/image/{SHA}")).body == ART.encode()


async def test_restart_continues_upload(start: Start) -> None:
    client = await start()
    await client.register(ART, 300)
    pieces = split_chunks(ART, 300)
    for index in (3, 0):
        await client.image_chunk(SHA, index, pieces[index])
    client = await start()
    assert (await client.register(ART, 300)).status == 409
    statuses = [(await client.image_chunk(SHA, index, piece)).status for index, piece in enumerate(pieces)]
    assert statuses == [409, 201, 201, 409, 201]
    assert (await client.call("GET", f"/image/{SHA}")).body == ART.encode()


async def test_start_finishes_complete_image(start: Start, folder: Path) -> None:
    client = await start()
    await client.register(ART, 1000)
    await client.image_chunk(SHA, 0, ART[:1000])
    await start(folder=str(folder.parent / "other"))
    unfinished = folder / "images/unfinished" / SHA
    (unfinished / "data").write_bytes(ART.encode())
    (unfinished / "arrived").write_bytes(b"\x01\x01")
    client = await start()
    assert (await client.call("GET", f"/image/{SHA}")).body == ART.encode()
    assert (await client.register(ART, 1000)).status == 409
