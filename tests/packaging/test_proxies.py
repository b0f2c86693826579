"""The documented proxies in front of a receiver: the real nginx and Caddy.

They use the files of ``packaging/proxy``.
"""

import asyncio
import hashlib
import io
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.support.certificates import self_signed
from tests.support.processes import ReceiverProcess
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e

PROXY = Path(__file__).parents[2] / "packaging" / "proxy"
MIB = 1024 * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and localhost, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def nginx_command(folder: Path, port: int, backend: str, tls_files: tuple[Path, Path]) -> list[str]:
    example = "/etc/letsencrypt/live/receiver.example.org/"
    site = replace_all(
        (PROXY / "nginx.conf").read_text(),
        ("server 127.0.0.1:4444;", f"server {backend};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (f"{example}fullchain.pem", str(tls_files[0])),
        (f"{example}privkey.pem", str(tls_files[1])),
        ("receiver.example.org", "localhost"),
    )
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{temporary}include {folder}/site.conf;\n}}\n")
    return ["nginx", "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy_command(folder: Path, port: int, backend: str, tls_files: tuple[Path, Path]) -> list[str]:
    site = replace_all(
        (PROXY / "Caddyfile").read_text(),
        ("reverse_proxy 127.0.0.1:4444", f"reverse_proxy {backend}"),
        (
            "receiver.example.org {",
            f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {tls_files[0]} {tls_files[1]}",
        ),
    )
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def replace_all(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, f"the documented file should have {old}"
        text = text.replace(old, new)
    return text


COMMANDS: dict[str, Callable[..., list[str]]] = {"nginx": nginx_command, "caddy": caddy_command}


class Proxy:
    """Starts one of the proxies in front of a backend, and ends it with the test."""

    def __init__(self, name: str, folder: Path, tls_files: tuple[Path, Path]) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._name = name
        self._folder = folder
        self._tls_files = tls_files
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, backend: str) -> None:
        command = COMMANDS[self._name](self._folder, self.port, backend, self._tls_files)
        environment = {**os.environ, "HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        self._process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await wait_until(self._accepts_connections)

    def _accepts_connections(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "the proxy ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def session(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=self._tls_files[0])
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@pytest.fixture(params=list(COMMANDS))
async def proxy(request: pytest.FixtureRequest, tmp_path: Path, tls_files: tuple[Path, Path]) -> AsyncIterator[Proxy]:
    if shutil.which(request.param) is None:
        pytest.skip(f"needs {request.param}")
    made = Proxy(request.param, tmp_path, tls_files)
    yield made
    await made.end()


async def test_proxy_uploads_large_body_to_receiver(proxy: Proxy, tmp_path: Path) -> None:
    data = os.urandom(19 * MIB)  # just below the receiver's limit for a single request
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "token").write_text("secret")
    with ReceiverProcess(tmp_path / "received", "--token-file", str(tmp_path / "token")) as receiver:
        await proxy.start(receiver.url.removeprefix("http://"))
        async with proxy.session() as session:
            direct, headers = f"{proxy.url}/api/files/upload/direct", {"Authorization": "Bearer secret"}
            form = aiohttp.FormData()
            form.add_field("file", io.BytesIO(data), filename="a.jpg", content_type="image/jpeg")
            async with session.post(direct, data=form) as refused:
                assert refused.status == 401
            form = aiohttp.FormData()
            form.add_field("file", io.BytesIO(data), filename="a.jpg", content_type="image/jpeg")
            async with session.post(direct, data=form, headers=headers) as answer:
                assert (answer.status, (await answer.json())["hash"]) == (200, digest)
            async with session.get(f"{proxy.url}/api/files/{digest}", headers=headers) as copy:
                assert await copy.read() == data


async def test_proxy_passes_body_on_as_it_arrives(proxy: Proxy) -> None:
    """The backend has the first part of a body before the client sends the last one."""
    arrived, finished = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"localhost:{proxy.port}".encode() in head  # the name that the client used
        await reader.readexactly(MIB)
        arrived.set()
        await reader.readexactly(MIB)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await finished.wait()
        writer.close()

    async def body() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        await asyncio.wait_for(arrived.wait(), 10)
        yield bytes(MIB)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, proxy.session() as session:
        await proxy.start(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        headers = {"Content-Length": str(2 * MIB)}
        async with session.post(proxy.url, data=body(), headers=headers) as response:
            assert (response.status, await response.text()) == (200, "ok")
        finished.set()
