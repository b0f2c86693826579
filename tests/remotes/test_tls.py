"""Test TLS connections: certificates, handshakes, and unusable files."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from syncd.core.errors import Scope, Transient
from syncd.remotes import tls
from syncd.remotes.bodies import BytesBody
from syncd.remotes.downloads import LengthRecorder
from tests.remotes.helpers import image_settings, read_request, reply, serve_app

BODY = BytesBody(content_type="text/plain", data=b"x")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
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
    """The server's TLS context; a test may change it before the first request."""
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
async def test_tls_private_ca_requires_ca_file(make_http, secure, certificate):
    with pytest.raises(Transient, match=r"not trusted \(self-signed certificate\); set ca_file") as caught:
        await make_http(secure).post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE
    assert (await make_http(secure, ca_file=certificate).post("/image", BODY)).status == 200


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate as a system's certificate authority, in new TLS contexts only.

    The contexts that aiohttp creates on import do not trust it.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.e2e
@pytest.mark.usefixtures("trusted")
async def test_tls_system_ca_is_trusted(make_http, secure):
    assert (await make_http(secure).post("/image", BODY)).status == 200


@pytest.fixture
async def redirecting(secure: str):
    """The address of a server without TLS that redirects each request to the server over TLS."""

    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{secure}/there"})

    app = web.Application()
    app.router.add_get("/{path:.*}", redirect)
    async with serve_app(app) as url:
        yield url


@pytest.mark.e2e
@pytest.mark.usefixtures("trusted")
async def test_tls_redirect_from_http_trusts_system_ca(make_http, redirecting):
    assert (await make_http(redirecting).get("/image/1", writer=LengthRecorder())).status == 200


@pytest.mark.e2e
async def test_tls_redirect_from_http_ignores_ca_file(make_http, redirecting, certificate):
    http = make_http(redirecting, ca_file=certificate)
    with pytest.raises(Transient, match=r"not trusted \(self-signed certificate\)"):
        await http.get("/image/1", writer=LengthRecorder())


@pytest.mark.e2e
@pytest.mark.usefixtures("trusted")
async def test_tls_proxy_with_https_trusts_system_ca(make_http, secure):
    assert (await make_http("http://host.test", proxy=secure).post("/image", BODY)).status == 200


@pytest.mark.e2e
async def test_tls_other_host_name_has_advice(make_http, secure, certificate):
    with pytest.raises(
        Transient, match=r"not trusted .*localhost.*; set url to a host name that the certificate contains"
    ):
        await make_http(secure.replace("127.0.0.1", "localhost"), ca_file=certificate).post("/image", BODY)


@pytest.fixture
def strict(context: ssl.SSLContext):
    """The URL of a server that sends a TLS alert when it rejects a handshake.

    asyncio's server sends none.
    """

    def refuse(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.settimeout(5)
                # Read to the end: otherwise the kernel may reset the connection before the client reads the alert.
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
async def test_tls_client_certificate_is_sent(make_http, secure, context, certificate):
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    assert (await make_http(secure, ca_file=certificate, client_cert=certificate).post("/image", BODY)).status == 200


@pytest.mark.e2e
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_missing_client_certificate_has_advice(make_http, strict, context, certificate, newest):
    context.maximum_version = newest
    context.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(Transient, match="set client_cert"):
        await make_http(strict, ca_file=certificate).post("/image", BODY)


@pytest.mark.e2e
async def test_tls_lost_alert_is_found_by_second_request(make_http, strict, context, certificate, monkeypatch):
    """aiohttp forgets an alert that arrives before it writes the request."""
    context.verify_mode = ssl.CERT_REQUIRED
    http = make_http(strict, ca_file=certificate)

    async def lose(*_: object, **__: object) -> None:
        raise aiohttp.ClientOSError(None, "Can not write request body")

    monkeypatch.setattr(http._session(), "request", lose)
    with pytest.raises(Transient, match="set client_cert"):
        await http.post("/image", BODY)


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_old_version_is_rejected(make_http, strict, context, certificate):
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(Transient, match=r"can't connect to .* over TLS: the server supports no TLS 1\.2 or later"):
        await make_http(strict, ca_file=certificate).post("/image", BODY)


async def test_tls_server_without_tls_has_advice(make_http, start_server):
    async def handle(server, reader, writer):
        await reader.read(100)
        writer.write(reply("400 No"))

    server = await start_server(handle)
    with pytest.raises(
        Transient, match=r"can't connect to .* over TLS: the server offers no TLS at this port"
    ) as caught:
        await make_http(server.url.replace("http", "https")).post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE


@pytest.fixture
def files(certificate: Path, tmp_path: Path) -> Path:
    """A folder with certificate and key files, most of them invalid."""
    shutil.copy(certificate, tmp_path / "whole.pem")
    (tmp_path / "nothing.pem").write_text("no certificate")
    curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for name, lock in ("other.key", []), ("locked.key", ["-aes128", "-pass", "pass:x"]):
        command = ["openssl", "genpkey", "-algorithm", "EC", *curve, *lock, "-out", tmp_path / name]
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("named", "setting", "message"),
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
async def test_tls_unusable_file_is_named(make_http, files, named, setting, message):
    paths = {key: files / name for key, name in named.items()}
    for path in paths.values():
        path.touch()  # the configuration requires an existing file
    gone = [path for path in paths.values() if path.name == "gone.pem"]
    http = make_http("https://127.0.0.1:1", **paths)
    for path in gone:
        path.unlink()
    with pytest.raises(
        Transient, match=f"^{setting} {re.escape(str(paths[setting]))} can't be used: {message}"
    ) as caught:
        await http.post("/image", BODY)
    assert caught.value.scope is Scope.REMOTE


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"])
async def test_tls_invalid_ca_file_prevents_connection(make_http, tmp_path, proxy):
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(Transient, match=f"^ca_file {re.escape(str(path))} can't be used: the file contains no PEM"):
        await make_http("https://127.0.0.1:1", ca_file=path, proxy=proxy).post("/image", BODY)


@pytest.mark.parametrize("keys", [("client_cert",), ("client_cert", "client_key")])
def test_tls_encrypted_key_is_named(monkeypatch, tmp_path, keys):
    def ask_for_password(_context, _certificate, _key, *, password):
        password()

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", ask_for_password)
    paths = {key: tmp_path / f"{key}.pem" for key in keys}
    for path in paths.values():
        path.touch()
    file = re.escape(str(paths[keys[-1]]))
    with pytest.raises(Transient, match=f"^client_key {file} can't be used: the key is encrypted with a password"):
        tls.context(image_settings("https://127.0.0.1:1", **paths))


@pytest.mark.parametrize(
    ("reset", "with_certificate", "scope"),
    [
        (("GET", "HEAD", "POST"), True, Scope.REMOTE),
        (("POST",), True, Scope.JOB),  # the server rejects only this request
        (("GET", "HEAD", "POST"), False, Scope.JOB),
    ],
)
@pytest.mark.e2e
async def test_tls_reset_of_each_connection_advises_client_cert(
    make_http, context, certificate, reset, with_certificate, scope
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
            await make_http(url, ca_file=certificate, **own).post("/image", BODY)
    assert caught.value.scope is scope
    assert ("client_cert" in str(caught.value)) is (scope is Scope.REMOTE)
