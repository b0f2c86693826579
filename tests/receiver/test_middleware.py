"""Rules for every route: token, unknown paths, limits, malicious names, failures."""

import asyncio
import errno
import gzip
import io
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from yarl import URL

from syncd import logs
from syncd.receiver import file_io
from syncd.receiver.errors import FolderInUseError
from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.receiver.conftest import ReceiverClient, Response, Start, sha256, tree
from tests.support.wait import wait_until

TOKEN = "s3cret"


async def assert_error(answer: Response, path: str, status: int) -> None:
    assert answer.status == status, answer.body
    assert answer.content_type == "application/json"
    body = await answer.json()
    if path.startswith("/image"):
        assert set(body) == {"code", "message"}
        assert body["code"] == str(status)
    else:
        assert set(body) == {"code", "message", "status"}
        assert body["status"] == status
    assert body["message"]


CALLS = [
    ("POST", "/image"),
    ("POST", f"/image/{'a' * 64}/chunks"),
    ("GET", f"/image/{'a' * 64}"),
    ("POST", "/api/files/upload/create"),
    ("POST", "/drive/files/upload/create"),
    ("POST", f"/api/files/upload/chunk/{'a' * 32}/0"),
    ("POST", f"/api/files/upload/complete/{'a' * 32}"),
    ("GET", f"/api/files/upload/resume/{'a' * 32}"),
    ("POST", "/api/files/upload/direct"),
    ("GET", f"/api/files/{'a' * 64}"),
    ("GET", "/v1/receiver"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Digest {TOKEN}", "Bearer s3crét"]
)
async def test_request_without_token_returns_401(start: Start, method: str, path: str, given) -> None:
    client = await start(token=TOKEN)
    answer = await client.call(method, path, headers={"Authorization": given} if given else {})
    await assert_error(answer, path, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_token_grants_access_to_both_apis(start: Start, scheme: str) -> None:
    client = await start(token=TOKEN, headers={"Authorization": f"{scheme} {TOKEN}"})
    assert (await client.register("text", 4)).status == 201
    assert (await client.create(b"data")).status == 200


async def test_token_is_not_in_responses_or_log(start: Start) -> None:
    with capture_logs() as lines:
        client = await start(token=TOKEN, headers={"Authorization": f"Bearer {TOKEN}"})
        await client.counters()
        await client.call("GET", "/nothing")
    assert lines
    assert TOKEN not in repr(lines)
    assert TOKEN not in repr(Settings(folder="x", token=TOKEN))


@pytest.mark.parametrize("path", ["/", "/nothing", "/image/", "/image/a/b/c", "/api/files/upload/create/x", "/api"])
async def test_unknown_path_returns_404_as_json(client: ReceiverClient, path: str) -> None:
    await assert_error(await client.call("GET", path), path, 404)


@pytest.mark.parametrize(("path", "allowed"), [("/image", "POST"), ("/api/files/upload/create", "POST")])
async def test_wrong_method_returns_405_as_json(client: ReceiverClient, path: str, allowed: str) -> None:
    answer = await client.call("DELETE", path)
    await assert_error(answer, path, 405)
    assert allowed in answer.headers["Allow"]


TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2flock",
    "%2fetc%2fpasswd",
    "%00",
    "a" * 63 + "%00",
    "a" * 64 + "%0a",
    "a" * 32 + "%0a",
    "%D9%A1" * 64,
    "%EF%BC%A1" * 32,
    "A" * 64,
    "..%5c..%5clock",
    "%ff%fe",
    "C%3A%5Cx",
    ".",
    "a" * 5000,
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_id_with_path_traversal_is_rejected(start: Start, folder: Path, trick: str) -> None:
    client = await start()
    (folder / "images/plan.json").write_text("{}")
    (folder / "images/data").write_text("inside")
    before = tree(folder)
    chunk = {"id": 0, "size": 1, "data": "x"}
    for method, path in (
        ("GET", f"/image/{trick}"),
        ("POST", f"/image/{trick}/chunks"),
        ("GET", f"/api/files/{trick}"),
        ("GET", f"/drive/files/{trick}"),
        ("POST", f"/api/files/upload/complete/{trick}"),
        ("GET", f"/api/files/upload/resume/{trick}"),
        ("GET", f"/api/files/upload/progress/{trick}"),
        ("POST", f"/api/files/upload/chunk/{trick}/0"),
    ):
        answer = await client.call(method, path, json=chunk if method == "POST" else None)
        assert answer.status in (400, 404, 405), (path, answer.status, answer.body)
        assert b"inside" not in answer.body
    assert tree(folder) == before


@pytest.mark.parametrize("name", ["../../../evil", "/etc/evil", "a\x00b", "..", "con:", "a\r\nX-Evil: 1", "😀" * 60])
async def test_hostile_file_name_is_only_metadata(client: ReceiverClient, tmp_path: Path, name: str) -> None:
    digest = sha256(b"data")
    task = await client.task(b"data", 4, file_name=name)
    await client.chunk(task, 0, b"data")
    file = await (await client.complete(task)).json()
    assert file["name"] == name
    answer = await client.call("GET", f"/api/files/{digest}")
    assert answer.body == b"data"
    assert "X-Evil" not in answer.headers
    assert not [path for path in tree(tmp_path) if "evil" in path.name]


async def test_stored_files_are_owner_only(client: ReceiverClient, folder: Path) -> None:
    task = await client.task(b"data" * 2, 4)
    await client.chunk(task, 0, b"data")
    await client.register("text", 4)
    await client.image_chunk(sha256(b"text"), 0, "text")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *tree(folder)]}
    assert len(modes) > 15
    assert {path: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


async def test_second_receiver_of_folder_fails(start: Start, folder: Path) -> None:
    await start()
    settings, stop = Settings(folder=str(folder)), asyncio.Event()
    with pytest.raises(FolderInUseError, match="another receiver"):
        await serve(settings, host="127.0.0.1", port=0, ready=lambda _: stop.set(), stop=stop)


async def test_port_in_use_raises_and_releases_folder(start: Start, tmp_path: Path) -> None:
    url = URL((await start()).url)
    settings, stop = Settings(folder=str(tmp_path / "second")), asyncio.Event()
    with pytest.raises(OSError, match="in use"):
        await serve(settings, host="127.0.0.1", port=url.port or 0, ready=lambda _: stop.set(), stop=stop)
    await serve(settings, host="127.0.0.1", port=0, ready=lambda _: stop.set(), stop=stop)


async def raw(client: ReceiverClient, request: bytes) -> tuple[bytes, asyncio.StreamWriter]:
    url = URL(client.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    async with asyncio.timeout(10):
        return await reader.read(65536), writer


JSON_CUT_OFF = (
    b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
)
FORM_CUT_OFF = (
    b"POST /api/files/upload/direct HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name="
)


@pytest.mark.parametrize("head", [JSON_CUT_OFF, FORM_CUT_OFF])
async def test_stalled_body_returns_408_and_closes(start: Start, head: bytes) -> None:
    client = await start(idle_timeout=0.1)
    answer, writer = await raw(client, head)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Connection: close" in answer


async def test_endless_head_closes_connection(start: Start) -> None:
    client = await start(keep_alive=0.1)
    answer, writer = await raw(client, b"POST /image HTTP/1.1\r\nHost:")
    writer.close()
    assert answer == b""


def in_flight(client: ReceiverClient, count: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await client.counters())["in_flight"] == count

    return check


async def test_client_disconnecting_in_body_is_ignored(client: ReceiverClient) -> None:
    url = URL(client.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(JSON_CUT_OFF)
    await writer.drain()
    await wait_until(in_flight(client, 2))
    writer.close()
    await wait_until(in_flight(client, 1))
    assert (await client.register("text", 4)).status == 201


async def stalled(client: ReceiverClient, count: int) -> list[asyncio.StreamWriter]:
    """Start ``count`` requests whose bodies stay incomplete."""
    url = URL(client.url)
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST /image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3000\r\n\r\n"
            + b" " * 1500
        )
        writers.append(writer)
    return writers


async def test_requests_over_limit_get_503(start: Start) -> None:
    client = await start(max_requests=3)

    async def busy() -> bool:
        answer = await client.register("text", 4)
        if answer.status == 503:
            await assert_error(answer, "/image", 503)
            assert answer.headers["Retry-After"] == "1"
        return answer.status == 503

    async def free() -> bool:
        return not await busy()

    writers = await stalled(client, 3)
    await wait_until(busy)
    for writer in writers:
        writer.close()
    await wait_until(free)


async def test_buffered_bodies_over_limit_get_503(start: Start) -> None:
    client = await start(max_buffered=4000)
    writers = await stalled(client, 2)
    await wait_until(in_flight(client, 3))
    await assert_error(await client.create(b"data", file_name="x" * 2000), "/api/files", 503)
    for writer in writers:
        writer.close()

    async def free() -> bool:
        return (await client.create(b"data", file_name="x" * 2000)).status == 200

    await wait_until(free)


async def test_connections_over_limit_get_503(start: Start) -> None:
    client = await start(max_connections=2)
    assert (await client.counters())["requests"] == 1
    _, first = await asyncio.open_connection(URL(client.url).host, URL(client.url).port)
    answer, second = await raw(client, b"")
    assert answer.startswith(b"HTTP/1.1 503")
    first.close()
    second.close()

    async def free() -> bool:
        answer, writer = await raw(client, b"GET /v1/receiver HTTP/1.1\r\nHost: localhost\r\n\r\n")
        writer.close()
        return answer.startswith(b"HTTP/1.1 200")

    await wait_until(free)


async def test_internal_error_returns_500_and_logs_traceback(client: ReceiverClient, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(file_io, "create", fail)
    with capture_logs() as lines:
        for path, answer in (("/image", await client.register("text", 4)), ("/api", await client.create(b"data"))):
            await assert_error(answer, path, 500)
            assert b"secret" not in answer.body
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["receiver.failed"] * 2


async def test_full_disk_returns_507_until_space_is_free(client: ReceiverClient, folder: Path, monkeypatch) -> None:
    task = await client.task(b"data", 4)

    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 1:  # a chunk's one-byte mark would fit; it must not be set
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        await assert_error(await client.chunk(task, 0, b"data"), "/api", 507)
        await assert_error(await client.register("text", 4), "/image", 507)
    assert not tree(folder / "images/building")
    assert (await client.chunk(task, 0, b"data")).status == 200
    assert (await client.register("text", 4)).status == 201
    assert (await client.complete(task)).status == 200


async def test_compressed_body_is_not_decompressed(client: ReceiverClient) -> None:
    body = gzip.compress(b'{"sha256": "' + b"a" * 64 + b'", "size": 4, "chunk_size": 4}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    await assert_error(await client.call("POST", "/image", data=body, headers=headers), "/image", 400)


async def test_log_events_have_names(start: Start) -> None:
    logs.configure(level="debug", format="json", stream=io.StringIO())
    with capture_logs() as lines:
        client = await start()
        await client.register("text", 4)
        await client.register("text", 4)
        await client.image_chunk(sha256(b"text"), 0, "text")
    assert [line["event"] for line in lines] == [
        "receiver.started",
        "receiver.request",
        "receiver.refused",
        "receiver.request",
        "receiver.stored",
        "receiver.request",
    ]


async def test_counters_count_requests_and_uploads(client: ReceiverClient) -> None:
    await client.register("text", 4)
    await client.image_chunk(sha256(b"text"), 0, "text")
    await client.image_chunk(sha256(b"text"), 0, "text")
    await client.create(b"data")
    counters = await client.counters()
    assert counters.pop("bytes") > 100
    assert counters == {
        "requests": 5,
        "images": 1,
        "files": 0,
        "chunks_received": 1,
        "chunks_repeated": 1,
        "refused": 1,
        "expired": 0,
        "in_flight": 1,
        "max_in_flight": 1,
        "unfinished": 1,
    }
