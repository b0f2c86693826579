import asyncio
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from tests.receiver.conftest import ReceiverClient, Response, Start, sha256, split_chunks, tree
from tests.support.clock import OffsetClock
from tests.support.data import POOL, random_bytes
from tests.support.wait import wait_until

DATA = random_bytes(2500, 1)
SHA = sha256(DATA)
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
UNKNOWN = "0123456789abcdef" * 2


async def assert_refused(answer: Response, status: int, code: str, message: str = "") -> None:
    assert answer.status == status, answer.body
    assert answer.content_type == "application/json"
    body = await answer.json()
    assert set(body) == {"code", "message", "status"}
    assert (body["code"], body["status"]) == (code, status)
    assert message in body["message"]


async def upload(client: ReceiverClient, data: bytes = DATA, chunk_size: int = 1000, **changes) -> Response:
    task = await client.task(data, chunk_size, **changes)
    for index, piece in enumerate(split_chunks(data, chunk_size)):
        assert (await client.chunk(task, index, piece)).status == 200
    return await client.complete(task)


@pytest.mark.parametrize("prefix", ["/api/files", "/drive/files"])
async def test_upload_in_chunks_can_be_downloaded(client: ReceiverClient, prefix: str) -> None:
    base = f"{prefix}/upload"
    payload = {
        "hash": SHA,
        "file_name": "زهرا 🌸.jpg",
        "file_size": 2500,
        "content_type": "image/jpeg",
        "pool_id": POOL,
        "bundle_id": POOL,
        "chunk_size": 1000,
    }
    created = await client.call("POST", f"{base}/create", json=payload)
    assert (created.status, created.content_type) == (200, "application/json")
    agreed = await created.json()
    task = agreed.pop("task_id")
    assert agreed == {"file_exists": False, "chunk_size": 1000, "chunks_count": 3}
    for index, piece in enumerate(split_chunks(DATA, 1000)):
        with aiohttp.MultipartWriter("form-data") as form:
            form.append(piece).set_content_disposition("form-data", name="chunk", filename="blob")
        answer = await client.call("POST", f"{base}/chunk/{task}/{index}", data=form)
        assert (answer.status, answer.body) == (200, b"")
    answer = await client.call("POST", f"{base}/complete/{task}")
    assert (answer.status, answer.content_type) == (200, "application/json")
    file = await answer.json()
    expected = {"name": "زهرا 🌸.jpg", "mime_type": "image/jpeg", "hash": SHA, "size": 2500, "bundle_id": POOL}
    assert expected.items() <= file.items()
    stored = await client.call("GET", f"{prefix}/{file['id']}")
    assert (stored.status, stored.content_type, stored.body) == (200, "image/jpeg", DATA)
    assert stored.headers["X-Content-Type-Options"] == "nosniff"
    assert stored.headers["Content-Disposition"].startswith("attachment;")


async def test_create_known_hash_returns_stored_file(client: ReceiverClient) -> None:
    file = await (await upload(client)).json()
    answer = await client.create(DATA, file_name="another name.jpg")
    assert await answer.json() == {"file_exists": True, "file": file}
    assert (await client.counters())["unfinished"] == 0


async def test_create_returns_chunk_size_within_limits(start: Start) -> None:
    client = await start(chunk_size=1024, max_chunks=10, max_file_size=10_240)
    for asked, agreed in ((..., (1024, 3)), (None, (1024, 3)), (5000, (1024, 3)), (2**62, (1024, 3)), (1, (250, 10))):
        answer = await (await client.create(DATA, chunk_size=asked)).json()
        assert (answer["chunk_size"], answer["chunks_count"]) == agreed


async def test_create_accepts_md5(client: ReceiverClient) -> None:
    digest = hashlib.md5(DATA).hexdigest()
    file = await (await upload(client, hash=digest.upper())).json()
    assert file["hash"] == digest
    task = await client.task(b"other", 5, hash=hashlib.md5(b"not this").hexdigest())
    await client.chunk(task, 0, b"other")
    await assert_refused(await client.complete(task), 400, "HASH_MISMATCH")


async def test_chunks_in_any_order_are_accepted(client: ReceiverClient) -> None:
    data = random_bytes(300_001, 2)
    task = await client.task(data, 3000)
    pieces = list(enumerate(split_chunks(data, 3000)))
    random.Random(3).shuffle(pieces)
    answers = await asyncio.gather(*(client.chunk(task, index, piece) for index, piece in pieces))
    assert {answer.status for answer in answers} == {200}
    file = await (await client.complete(task)).json()
    assert (await client.call("GET", f"/api/files/{file['id']}")).body == data
    assert (await client.counters())["chunks_received"] == 101


async def test_repeated_chunk_is_accepted_and_counted(client: ReceiverClient) -> None:
    task = await client.task(DATA, 2500)
    answers = await asyncio.gather(*(client.chunk(task, 0, DATA) for _ in range(10)))
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 10
    assert (await client.chunk(task, 0, b"x" * 2500)).status == 200
    assert (await client.complete(task)).status == 200
    assert (await client.call("GET", f"/api/files/{SHA}")).body == DATA
    counters = await client.counters()
    assert (counters["chunks_received"], counters["chunks_repeated"]) == (1, 10)


@pytest.mark.parametrize("index", ["3", "-1", "1e1", "x", "%00", "999999999999999999999", "%D9%A1", "1.0"])
async def test_chunk_out_of_range_returns_400(client: ReceiverClient, index: str) -> None:
    task = await client.task(DATA, 1000)
    await assert_refused(await client.chunk(task, index, DATA[:1000]), 400, "CHUNK_OUT_OF_RANGE", "0 to 2")


@pytest.mark.parametrize(("index", "length"), [(0, 999), (0, 1001), (0, 0), (2, 499), (2, 1000)])
async def test_chunk_with_wrong_length_returns_400(client: ReceiverClient, index: int, length: int) -> None:
    task = await client.task(DATA, 1000)
    await assert_refused(await client.chunk(task, index, b"x" * length), 400, "CHUNK_SIZE_WRONG", str(length))
    assert (await (await client.resume(task)).json())["chunks_uploaded"] == 0


async def test_unknown_task_returns_404(client: ReceiverClient) -> None:
    for answer in (
        await client.chunk(UNKNOWN, 0, b"x"),
        await client.complete(UNKNOWN),
        await client.resume(UNKNOWN),
        await client.call("GET", f"/api/files/upload/progress/{UNKNOWN}"),
    ):
        await assert_refused(answer, 404, "TASK_NOT_FOUND")
    await assert_refused(await client.call("GET", f"/api/files/{SHA}"), 404, "FILE_NOT_FOUND")


async def test_complete_with_missing_chunks_keeps_task(client: ReceiverClient) -> None:
    task = await client.task(DATA, 1000)
    await client.chunk(task, 1, DATA[1000:2000])
    await assert_refused(await client.complete(task), 400, "CHUNK_MISSING", "2 of 3")
    await client.chunk(task, 0, DATA[:1000])
    await client.chunk(task, 2, DATA[2000:])
    assert (await client.complete(task)).status == 200


async def test_complete_with_wrong_hash_drops_task(client: ReceiverClient) -> None:
    task = await client.task(DATA, 2500)
    await client.chunk(task, 0, b"x" * 2500)
    await assert_refused(await client.complete(task), 400, "HASH_MISMATCH")
    await assert_refused(await client.complete(task), 404, "TASK_NOT_FOUND")
    await assert_refused(await client.call("GET", f"/api/files/{SHA}"), 404, "FILE_NOT_FOUND")
    assert (await upload(client)).status == 200


async def test_finished_task_repeats_its_responses(start: Start) -> None:
    client = await start()
    task = await client.task(DATA, 1000)
    for index, piece in enumerate(split_chunks(DATA, 1000)):
        await client.chunk(task, index, piece)
    file = await (await client.complete(task)).json()
    for _ in range(2):
        answer = await client.complete(task)
        assert (answer.status, await answer.json()) == (200, file)
        assert (await client.chunk(task, 2, DATA[2000:])).status == 200
        await assert_refused(await client.chunk(task, 3, DATA[2000:]), 400, "CHUNK_OUT_OF_RANGE")
        assert (await (await client.resume(task)).json())["uploaded_chunks"] == [0, 1, 2]
        client = await start()


async def test_concurrent_complete_requests_get_same_response(client: ReceiverClient) -> None:
    task = await client.task(DATA, 2500)
    await client.chunk(task, 0, DATA)
    answers = await asyncio.gather(*(client.complete(task) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert (await client.counters())["files"] == 1


async def test_two_tasks_with_same_hash_both_complete(client: ReceiverClient, folder: Path) -> None:
    tasks = [await client.task(DATA, size, file_name=f"{size}.jpg") for size in (2500, 1000)]
    for task, size in zip(tasks, (2500, 1000), strict=True):
        for index, piece in enumerate(split_chunks(DATA, size)):
            assert (await client.chunk(task, index, piece)).status == 200
    answers = await asyncio.gather(*(client.complete(task) for task in tasks))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert (await client.call("GET", f"/api/files/{SHA}")).body == DATA
    assert [path.name for path in (folder / "files/finished").iterdir()] == [SHA]
    assert not tree(folder / "files/unfinished")
    assert not tree(folder / "files/building")


async def test_resume_and_progress_list_arrived_chunks(start: Start) -> None:
    client = await start()
    task = await client.task(DATA, 1000)
    await client.chunk(task, 2, DATA[2000:])
    await client.chunk(task, 0, DATA[:1000])
    for _ in range(2):
        resume = await (await client.resume(task)).json()
        assert resume == {
            "task_id": task,
            "file_name": "a photo.jpg",
            "file_size": 2500,
            "chunk_size": 1000,
            "chunks_count": 3,
            "chunks_uploaded": 2,
            "uploaded_chunks": [0, 2],
        }
        progress = await (await client.call("GET", f"/api/files/upload/progress/{task}")).json()
        assert (progress["status"], progress["progress"]) == ("Uploading", 66)
        client = await start()
    await client.chunk(task, 1, DATA[1000:2000])
    await client.complete(task)
    progress = await (await client.call("GET", f"/api/files/upload/progress/{task}")).json()
    assert (progress["status"], progress["chunks_uploaded"]) == ("Completed", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hash": ...}, "hash field is missing"),
        ({"hash": "abc"}, "hash"),
        ({"hash": "g" * 64}, "hash"),
        ({"hash": "../../../etc/passwd" + "a" * 13}, "hash"),
        ({"file_name": ...}, "file_name field is missing"),
        ({"file_name": ""}, "file_name"),
        ({"file_name": "\ud800"}, "Unicode"),
        ({"file_size": ...}, "file_size field is missing"),
        ({"file_size": 0}, "file_size"),
        ({"file_size": -5}, "file_size"),
        ({"file_size": "7"}, "file_size"),
        ({"content_type": ...}, "content_type"),
        ({"content_type": "image"}, "content_type"),
        ({"content_type": "a/b\r\nX-Evil: 1"}, "content_type"),
        ({"pool_id": "pool"}, "pool_id"),
        ({"pool_id": ""}, "pool_id"),
        ({"pool_id": 7}, "pool_id"),
        ({"pool_id": ULID[:-1]}, "pool_id"),
        ({"pool_id": ULID + "0"}, "pool_id"),
        ({"pool_id": "8" + ULID[1:]}, "pool_id"),  # more than 128 bits
        ({"pool_id": "U" + ULID[1:]}, "pool_id"),
        ({"pool_id": ULID[:-1] + "I"}, "pool_id"),
        ({"pool_id": ULID[:-1] + "\u0131"}, "pool_id"),
        ({"bundle_id": "bundle"}, "bundle_id"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk_size": "5MiB"}, "chunk_size"),
        ({"expired_at": "tomorrow"}, "expired_at"),
        ({"expired_at": "2001-01-01T00:00:00Z"}, "in the future"),
        ({"expired_at": "0001-01-01T00:00:00+14:00"}, "expired_at"),
    ],
)
async def test_create_invalid_field_is_named(client: ReceiverClient, changes, message: str) -> None:
    await assert_refused(await client.create(DATA, **changes), 400, "INVALID_FIELD", message)
    assert (await client.counters())["unfinished"] == 0


@pytest.mark.parametrize("pool", [..., None, POOL, POOL.replace("0", "a"), ULID, ULID.lower(), "7" + "Z" * 25])
async def test_create_accepts_pool_as_guid_ulid_or_null(client: ReceiverClient, pool) -> None:
    expected = None if pool is ... else pool
    created = await upload(client, pool_id=pool)
    assert created.status == 200
    assert (await created.json())["pool_id"] == expected
    form = {} if pool is ... else {"pool_id": pool or "null"}
    direct = await send_direct(client, b"another", **form)
    assert direct.status == 200
    assert (await direct.json())["pool_id"] == expected


async def test_create_unsupported_file_returns_403(start: Start) -> None:
    client = await start(max_file_size=2000)
    await assert_refused(await client.create(DATA), 403, "FILE_TOO_LARGE", "2000 bytes")
    await assert_refused(await client.create(b"x", encrypt_password="secret"), 403, "ENCRYPTION_UNSUPPORTED")


async def test_chunk_over_limit_returns_413(start: Start) -> None:
    client = await start(chunk_limit=2000)
    task = await client.task(b"x" * 5000, 5000)
    await assert_refused(await client.chunk(task, 0, b"x" * 2001), 413, "BODY_TOO_LARGE", "2000")
    await assert_refused(await client.chunk(task, 0, b"x" * 200_000), 413, "BODY_TOO_LARGE")


async def test_chunk_of_six_mib_is_the_largest(client: ReceiverClient) -> None:
    task = await client.task(DATA, 1000)
    limit = 6 * 1024 * 1024
    await assert_refused(await client.chunk(task, 0, bytes(limit)), 400, "CHUNK_SIZE_WRONG")
    await assert_refused(await client.chunk(task, 0, bytes(limit + 1)), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/octet-stream", b"x", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/form-data", b"x", 400, "MALFORMED"),
        ("multipart/form-data; boundary=b", b"", 400, "MALFORMED"),
        ("multipart/form-data; boundary=b", b"x\r\n" * 10, 400, "MALFORMED"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400, "MALFORMED"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 400, "MALFORMED"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
            400,
            "MALFORMED",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="chunk"\r\n\r\n' + b"x" * 1000,
            400,
            "MALFORMED",
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n",
            400,
            "MALFORMED",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nx\r\n' * 40
            + b'--b\r\nContent-Disposition: form-data; name="chunk"\r\n\r\nx\r\n--b--\r\n',
            400,
            "MALFORMED",
        ),
    ],
)
async def test_chunk_malformed_form_is_rejected(client: ReceiverClient, kind, body, status, code) -> None:
    task = await client.task(DATA, 1000)
    answer = await client.call("POST", f"/api/files/upload/chunk/{task}/0", data=body, headers={"Content-Type": kind})
    await assert_refused(answer, status, code)


async def test_create_over_task_limit_returns_503(start: Start) -> None:
    client = await start(max_unfinished=2)
    await client.create(DATA)
    await client.create(DATA)
    answer = await client.create(DATA)
    await assert_refused(answer, 503, "TOO_MANY_UNFINISHED")
    assert int(answer.headers["Retry-After"]) > 0


async def test_idle_task_expires_and_busy_task_stays(start: Start, clock: OffsetClock) -> None:
    client = await start(unfinished_age=3600)
    idle, busy = await client.task(DATA, 1000), await client.task(DATA, 1000)
    for hours in range(3):
        clock.offset = hours * 3000
        await client.chunk(busy, hours, split_chunks(DATA, 1000)[hours])
    await assert_refused(await client.chunk(idle, 0, DATA[:1000]), 404, "TASK_NOT_FOUND")
    await assert_refused(await client.complete(idle), 404, "TASK_NOT_FOUND")
    await assert_refused(await client.resume(idle), 404, "TASK_NOT_FOUND")
    assert (await client.complete(busy)).status == 200


async def test_sweep_removes_expired_uploads_from_disk(start: Start, folder: Path, clock: OffsetClock) -> None:
    client = await start(unfinished_age=3600)
    await client.task(b"unfinished", 5)
    await upload(client)
    clock.offset = 4000
    client = await start(unfinished_age=0.2)

    async def swept() -> bool:
        return not (await client.counters())["unfinished"] and not tree(folder / "files/notes")

    await wait_until(swept)
    assert (await client.counters())["expired"] == 1
    assert not tree(folder / "files/unfinished")
    assert (await client.call("GET", f"/api/files/{SHA}")).body == DATA


async def test_file_is_removed_at_expired_at(client: ReceiverClient, clock: OffsetClock, folder: Path) -> None:
    moment = datetime.fromtimestamp(clock() + 3600, UTC).isoformat()
    file = await (await upload(client, expired_at=moment)).json()
    assert file["expired_at"] == moment
    assert (await client.call("GET", f"/api/files/{SHA}")).status == 200
    clock.offset = 3601
    await assert_refused(await client.call("GET", f"/api/files/{SHA}"), 404, "FILE_NOT_FOUND")
    assert not tree(folder / "files/finished")
    assert (await upload(client)).status == 200


async def send_direct(client: ReceiverClient, data: bytes, **fields: str) -> Response:
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", data, filename="a photo.png", content_type="image/png")
    return await client.call("POST", "/api/files/upload/direct", data=form)


async def test_direct_stores_file(client: ReceiverClient) -> None:
    answer = await send_direct(client, DATA, hash=SHA, pool_id=POOL)
    assert (answer.status, answer.content_type) == (200, "application/json")
    file = await answer.json()
    expected = {"name": "a photo.png", "mime_type": "image/png", "hash": SHA, "size": 2500, "pool_id": POOL}
    assert expected.items() <= file.items()
    stored = await client.call("GET", f"/api/files/{file['id']}")
    assert (stored.body, stored.content_type) == (DATA, "image/png")
    assert await (await send_direct(client, DATA)).json() == file
    assert (await (await client.create(DATA)).json())["file_exists"] is True


async def test_direct_invalid_request_is_rejected(start: Start, folder: Path) -> None:
    client = await start(direct_limit=100_000)
    await assert_refused(await send_direct(client, DATA, hash=sha256(b"other")), 400, "HASH_MISMATCH")
    await assert_refused(await send_direct(client, DATA, hash="123"), 400, "INVALID_FIELD", "hash")
    await assert_refused(await send_direct(client, DATA, pool_id="x"), 400, "INVALID_FIELD", "pool_id")
    await assert_refused(await send_direct(client, b""), 400, "INVALID_FIELD", "file_size")
    await assert_refused(await send_direct(client, bytes(100_001)), 413, "BODY_TOO_LARGE")
    await assert_refused(await send_direct(client, DATA, extra="x" * 70_000), 413, "BODY_TOO_LARGE")
    assert not tree(folder / "files/finished")
    assert not tree(folder / "files/building")
    assert (await send_direct(client, bytes(100_000))).status == 200
