"""The ways to a server: TLS, proxies, names, redirects that may not be followed."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from syncd.core.errors import Permanent, Scope, Transient
from syncd.remotes.bodies import BytesBody
from syncd.remotes.http import redirect_target
from syncd.remotes.proxy import environment_proxy
from syncd.remotes.responses import Response
from tests.remotes.helpers import read_request, reply

BODY = BytesBody(content_type="text/plain", data=b"x")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path) + ".key"]
    command = ["openssl", "req", "-x509", "-days", "2", *key, "-out", str(path), *names]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(Path(f"{path}.key").read_bytes())
    return path


@pytest.fixture
def context(certificate: Path):
    """What the server makes of TLS; a test may change it before it asks."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
async def secure(context: ssl.SSLContext):
    """The address of a server over TLS."""

    async def note(_request: web.Request) -> web.Response:
        return web.Response(text="{}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.e2e
async def test_a_certificate_of_ones_own_needs_ca_file(http_to, secure, certificate):
    with pytest.raises(Transient, match=r"not trusted \(self-signed certificate\); set ca_file") as caught:
        await http_to(secure).post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE
    assert (await http_to(secure, ca_file=certificate).post("/image", BODY)).status == 200


@pytest.mark.e2e
async def test_a_certificate_for_another_name(http_to, secure, certificate):
    with pytest.raises(
        Transient, match=r"not trusted .*localhost.*; set url to a host name that the certificate contains"
    ):
        await http_to(secure.replace("127.0.0.1", "localhost"), ca_file=certificate).post("/image", BODY)


@pytest.fixture
def strict(context: ssl.SSLContext):
    """The address of a server that says, as OpenSSL does and asyncio does not, why it refuses a handshake."""

    def refuse(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.settimeout(5)
                # Kept open and read to its end: else the kernel resets it, maybe before the refusal was read.
                with connection.dup() as kept, suppress(OSError):
                    with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1000)
                    while kept.recv(1000):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=refuse, args=(listening,))
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.e2e
async def test_a_server_that_asks_for_a_certificate(http_to, secure, context, certificate):
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    assert (await http_to(secure, ca_file=certificate, client_cert=certificate).post("/image", BODY)).status == 200


@pytest.mark.e2e
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_asks_for_a_certificate_and_gets_none(http_to, strict, context, certificate, newest):
    context.maximum_version = newest
    context.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(Transient, match="set client_cert"):
        await http_to(strict, ca_file=certificate).post("/image", BODY)


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_a_server_of_yesterday(http_to, strict, context, certificate):
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(Transient, match=r"can't connect to .* over TLS: the server supports no TLS 1\.2 or later"):
        await http_to(strict, ca_file=certificate).post("/image", BODY)


async def test_tls_where_the_server_has_none(http_to, rogue):
    async def handle(it, reader, writer):
        await reader.read(100)
        writer.write(reply("400 No"))

    server = await rogue(handle)
    with pytest.raises(
        Transient, match=r"can't connect to .* over TLS: the server offers no TLS at this port"
    ) as caught:
        await http_to(server.url.replace("http", "https")).post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE


@pytest.fixture
def files(certificate: Path, tmp_path: Path) -> Path:
    """A folder of files that a setting may name, most of them by mistake."""
    shutil.copy(certificate, tmp_path / "whole.pem")
    (tmp_path / "nothing.pem").write_text("no certificate")
    curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for name, lock in ("other.key", []), ("locked.key", ["-aes128", "-pass", "pass:x"]):
        command = ["openssl", "genpkey", "-algorithm", "EC", *curve, *lock, "-out", tmp_path / name]
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("named", "blamed", "message"),
    [
        ({"ca_file": "nothing.pem"}, "ca_file", "the file contains no PEM certificate"),
        ({"ca_file": "gone.pem"}, "ca_file", "no such file or directory"),
        ({"client_cert": "nothing.pem"}, "client_cert", "the file must contain a certificate and its key"),
        ({"client_cert": "gone.pem"}, "client_cert", "no such file or directory"),
        (
            {"client_cert": "whole.pem", "client_key": "other.key"},
            "client_cert",
            "the key does not belong to the certificate",
        ),
        (
            {"client_cert": "whole.pem", "client_key": "locked.key"},
            "client_key",
            "the key is encrypted with a password",
        ),
    ],
)
@pytest.mark.e2e
async def test_a_file_that_can_not_be_used(http_to, files, named, blamed, message):
    paths = {key: files / name for key, name in named.items()}
    for path in paths.values():
        path.touch()  # the configuration wants it to be there
    gone = [path for path in paths.values() if path.name == "gone.pem"]
    http = http_to("https://127.0.0.1:1", **paths)
    for path in gone:
        path.unlink()
    with pytest.raises(
        Transient, match=f"^{blamed} {re.escape(str(paths[blamed]))} can't be used: {message}"
    ) as caught:
        await http.post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE


async def test_a_name_that_is_not_known(http_to, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Transient, match=r"can't connect to host\.test: Name or service not known") as caught:
        await http_to("http://host.test").post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE
    with pytest.raises(Transient, match=r"can't connect to proxy\.test: Name or service not known"):
        await http_to("http://host.test", proxy="http://proxy.test:3128").post("/image", BODY)


async def test_a_proxy_is_used_with_its_password(http_to, rogue):
    async def handle(it, reader, writer):
        it.seen.append(await read_request(reader))
        writer.write(reply("200 OK"))

    proxy = await rogue(handle)
    address = proxy.url.replace("//", "//me:pa55word@")
    await http_to("http://host.test:99", proxy=address).post("/image", BODY)
    assert proxy.seen[0].startswith(b"POST http://host.test:99/image HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGE1NXdvcmQ=" in proxy.seen[0]


async def test_a_proxy_that_refuses(http_to, rogue):
    async def handle(it, reader, writer):
        await read_request(reader)
        writer.write(reply("407 Who", b"not pa55word"))

    proxy = await rogue(handle)
    address = proxy.url.replace("//", "//me:pa55word@")
    http = http_to("http://host.test", proxy=address)
    failure = http.failure(await http.post("/image", BODY))
    assert isinstance(failure, Transient)
    assert failure.scope is Scope.REMOTE
    assert "not ***" in str(failure)
    with pytest.raises(Transient, match="through the proxy: the proxy answered 407; set the right user") as caught:
        await http_to("https://host.test", proxy=address).post("/image", BODY)
    assert "pa55word" not in str(caught.value)


async def test_a_proxy_that_is_not_there(http_to, unused_tcp_port):
    address = f"http://me:pa55word@127.0.0.1:{unused_tcp_port}"
    with pytest.raises(Transient, match=r"host\.test through the proxy: connection refused") as caught:
        await http_to("http://host.test", proxy=address).post("/image", BODY)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://host.test:4444/x", "http://proxy.test:3128"),
        ("https://host.test/x", None),
        ("http://inner.test/x", None),
        ("http://localhost:4444/", None),
        ("http://127.0.0.9:4444/", None),
        ("http://[::1]:4444/", None),
    ],
)
def test_the_proxy_of_the_environment(monkeypatch, url, proxy):
    for name in ("HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inner.test")
    assert environment_proxy(URL(url)) == proxy


@pytest.mark.parametrize(
    "location", ["http://host.test/x", "ftp://host.test/", "http://[", "mailto:me@host.test", "http://host:0x1/"]
)
def test_redirects_that_are_not_followed(location):
    answer = Response(host="host.test", request_line="GET /x", status=302, headers={"location": location})
    with pytest.raises(Permanent, match=r"host\.test answered GET /x with a redirect"):
        redirect_target(URL("https://host.test/x"), answer)


def test_a_redirect_brings_no_password_along():
    answer = Response(
        host="host.test", request_line="GET /x", status=302, headers={"location": "https://me:pw@b.test/y"}
    )
    assert str(redirect_target(URL("https://host.test/x"), answer)) == "https://b.test/y"


@pytest.mark.parametrize(
    ("reset", "with_certificate", "scope"),
    [
        (("GET", "HEAD", "POST"), True, Scope.REMOTE),
        (("POST",), True, Scope.JOB),  # it is that request which the server does not like
        (("GET", "HEAD", "POST"), False, Scope.JOB),
    ],
)
@pytest.mark.e2e
async def test_a_server_that_resets_each_connection_refuses_the_certificate(
    http_to, context, certificate, reset, with_certificate, scope
):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if request.split()[0].decode() in reset:
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        own = {"client_cert": certificate} if with_certificate else {}
        with pytest.raises(Transient) as caught:
            await http_to(url, ca_file=certificate, **own).post("/image", BODY)
    assert caught.value.scope is scope
    assert ("client_cert" in str(caught.value)) is (scope is Scope.REMOTE)
