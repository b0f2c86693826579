"""Accepted host names of a receiver without a token, and rejected cross-site requests."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from syncd.receiver.hosts import own_names
from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.receiver.conftest import ReceiverClient, Response, Start, sha256, tree

MACHINE = socket.gethostname().lower()


def named(client: ReceiverClient, host: str) -> dict[str, str]:
    """Return the headers for this host name; `PORT` is replaced by the receiver's port."""
    return {"Host": host.replace("PORT", str(URL(client.url).port))}


async def ask(client: ReceiverClient, host: str, **headers: str) -> Response:
    return await client.call("GET", "/v1/receiver", headers={**named(client, host), **headers})


@pytest.fixture
async def serving_at(tmp_path: Path):
    """Start a receiver that listens at an address; return a client that uses 127.0.0.1."""
    stop, ended = asyncio.Event(), []
    session = aiohttp.ClientSession()

    async def begin(host: str, **changes) -> ReceiverClient:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        settings = Settings(folder=str(tmp_path / "store"), fsync=False, **changes)
        ended.append(asyncio.create_task(serve(settings, host=host, port=0, ready=url.set_result, stop=stop)))
        return ReceiverClient(str(URL(await url).with_host("127.0.0.1")), session)

    yield begin
    await session.close()
    stop.set()
    await asyncio.gather(*ended)


OWN_HOSTS = [
    "127.0.0.1:PORT",
    "localhost:PORT",
    "LOCALHOST:PORT",
    "localhost",
    "localhost:80",
    "[::1]:PORT",
    "[0:0::1]:1",
]
FOREIGN_HOSTS = [
    "evil.test:PORT",
    "evil.test",
    "localhost.evil.test:PORT",
    "evil.localhost:PORT",
    "127.0.0.1.evil.test",
    "192.0.2.7:PORT",
    "[2001:db8::7]:PORT",
    "localhost:PORT, evil.test",
    "localhost@evil.test",
    "evil.test/localhost",
    "localhost:",
    "localhost:x",
    "[::1",
    "::1",
    "127.1",
    "0x7f000001",
    "%6cocalhost",
    "",
]


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_own_host_name_is_accepted(client: ReceiverClient, host: str) -> None:
    assert (await ask(client, host)).status == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/image", "/api/files/upload/create"])
async def test_foreign_host_name_is_rejected(client: ReceiverClient, folder: Path, host: str, path: str) -> None:
    """DNS rebinding: page and requests have one origin, so only the host name shows it."""
    before = tree(folder)
    host = named(client, host)["Host"]
    same = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    answer = await client.call("POST", path, json={}, headers=same)
    assert answer.status == 403
    body = await answer.json()
    assert body["code"] == ("403" if path == "/image" else "HOST_NOT_ALLOWED")
    assert "--allow-host" in body["message"]
    assert (await ask(client, host)).status == 403
    assert tree(folder) == before


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("hosts", [(), (b"localhost", b"evil.test"), (b"evil.test", b"localhost")])
async def test_missing_or_second_host_header_is_rejected(
    client: ReceiverClient, hosts: tuple[bytes, ...], version: bytes
) -> None:
    url = URL(client.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    heads = b"".join(b"Host: %b\r\n" % host for host in hosts)
    writer.write(b"GET /v1/receiver HTTP/%b\r\n%bConnection: close\r\n\r\n" % (version, heads))
    status = (await reader.read()).split(b" ", 2)[1]
    writer.close()
    assert status in (b"400", b"403")


async def test_wildcard_address_accepts_machine_name(serving_at) -> None:
    assert own_names("::") >= {MACHINE, MACHINE.partition(".")[0], "localhost", "::"}
    client = await serving_at("0.0.0.0")
    label = MACHINE.partition(".")[0]
    for name in ("127.0.0.1:PORT", "localhost", f"{MACHINE}:PORT", f"{label.upper()}.local", "0.0.0.0:PORT"):
        assert (await ask(client, name)).status == 200, name
    for name in ("evil.test", "127.0.0.2", f"{MACHINE}.evil.test", "192.0.2.7"):
        assert (await ask(client, name)).status == 403, name


async def test_local_address_of_connection_is_accepted(serving_at) -> None:
    """A receiver in a LAN listens at 0.0.0.0; clients use one of the machine's addresses."""
    client = await serving_at("0.0.0.0")
    client.url = str(URL(client.url).with_host("127.0.0.2"))
    assert (await ask(client, "127.0.0.2:PORT")).status == 200
    assert (await ask(client, "127.0.0.3:PORT")).status == 403


def test_own_names_at_loopback_exclude_machine_name() -> None:
    assert own_names("127.0.0.1") == own_names("localhost") == {"localhost", "127.0.0.1", "::1"}


async def test_allowed_host_name_is_accepted(start: Start) -> None:
    client = await start(allowed_hosts=("Photos.Example", "2001:DB8::7", "192.0.2.7"))
    for host in ("photos.example", "photos.EXAMPLE:8080", "[2001:db8:0::7]:PORT", "192.0.2.7:PORT"):
        assert (await ask(client, host)).status == 200, host
    for host in ("example", "a.photos.example", "photos.example.", "192.0.2.8"):
        assert (await ask(client, host)).status == 403, host


CROSS_SITE = [
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost:PORT"},
    {"Origin": "http://127.0.0.1:PORT"},
    {"Origin": "http://localhost:PORT.evil.test"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "anything"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:PORT"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.test"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_cross_site_request_is_rejected(client: ReceiverClient, folder: Path, headers) -> None:
    """A browser sends a form with a file to another site without asking that site."""
    headers = {name: value.replace("PORT", str(URL(client.url).port)) for name, value in headers.items()}
    headers |= named(client, "localhost:PORT")
    form = aiohttp.FormData()
    form.add_field("file", b"data", filename="a.png", content_type="image/png")
    for method, path in (("POST", "/api/files/upload/direct"), ("GET", "/v1/receiver"), ("OPTIONS", "/image")):
        answer = await client.call(method, path, data=form if method == "POST" else None, headers=headers)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert not tree(folder / "files/finished")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:PORT"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:PORT"},
    ],
)
async def test_same_origin_or_typed_address_is_accepted(client: ReceiverClient, headers) -> None:
    headers = {name: value.replace("PORT", str(URL(client.url).port)) for name, value in headers.items()}
    assert (await ask(client, "localhost:PORT", **headers)).status == 200


async def test_token_makes_any_host_name_valid(start: Start) -> None:
    """No foreign page knows the token; behind a proxy, the host name is the proxy's."""
    client = await start(token="s3cret", headers={"Authorization": "Bearer s3cret"})
    answer = await ask(client, "photos.example", **{"Origin": "https://photos.example", "Sec-Fetch-Site": "same-site"})
    assert answer.status == 200
    assert (await ask(client, "photos.example", Authorization="")).status == 401


async def test_foreign_host_name_message_has_advice(client: ReceiverClient) -> None:
    answer = await client.call(
        "POST",
        "/image",
        json={"sha256": sha256(b"text"), "size": 4, "chunk_size": 4},
        headers={"Host": "nas.home:4444"},
    )
    assert (await answer.json())["message"] == (
        "This receiver does not have the host name 'nas.home'; "
        "use its own address, or start it with --allow-host and this name, or with a token."
    )
