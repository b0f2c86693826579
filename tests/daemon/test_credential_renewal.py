"""Tokens and certificates that are renewed in their files while the daemon runs."""

import asyncio
import shutil
import ssl
import subprocess
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from syncd.core.redact import MASKED
from syncd.daemon import credential_renewal
from tests.daemon.harness import running_receiver
from tests.support.data import random_bytes
from tests.support.wait import wait_until

OLD, NEW = "token-of-last-year", "token-of-this-year"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two self-signed certificates for 127.0.0.1, each in a file with its private key."""
    if shutil.which("openssl") is None:
        pytest.skip("makes certificates with openssl")
    folder = tmp_path_factory.mktemp("pki")
    for name in ("one", "two"):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / f"{name}.key"]
        names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["openssl", "req", "-x509", "-days", "2", *key, "-out", folder / f"{name}.crt", *names]
        subprocess.run(command, check=True, capture_output=True)
        (folder / name).write_bytes((folder / f"{name}.crt").read_bytes() + (folder / f"{name}.key").read_bytes())
    return folder


class TlsProxy:
    """A TLS proxy for a receiver, whose certificate and trusted clients can change."""

    def __init__(self, pki, url):
        self._pki, self._back = pki, urlsplit(url).port
        self._server, self._tasks, self._port = None, set(), 0

    @property
    def url(self):
        return f"https://127.0.0.1:{self._port}"

    async def use(self, certificate, *, trusts=None):
        await self.close()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._pki / certificate)
        if trusts:
            context.load_verify_locations(self._pki / f"{trusts}.crt")
            context.verify_mode = ssl.CERT_REQUIRED
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=context)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader, writer):
        self._tasks.add(task := asyncio.current_task())
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._back)
            await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer))
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)

    async def close(self):
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def pump(reader, writer):
    with suppress(OSError):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def tls_proxy(pki, receiver):
    made = TlsProxy(pki, receiver)
    yield made
    await made.close()


@pytest.fixture
def replace_file(harness, pki):
    """Return a function that replaces a file next to the configuration, as a renewal does."""

    def put(file, certificate):
        new = harness.folder / f"{file}.new"
        shutil.copy(pki / certificate, new)
        new.replace(harness.folder / file)
        return file

    return put


def set_drive(harness, url, **more):
    harness.settings["remotes"] = {"drive": {**harness.multipart(), "url": url, **more}}


async def drive(harness):
    (remote,) = await harness.service.remotes()
    return remote


async def until_state(harness, state):
    async def reached():
        return (await drive(harness))["state"] == state

    await wait_until(reached, state)


@pytest.mark.e2e  # openssl makes the certificates
async def test_renewal_client_certificate_is_used_without_reload(harness, tls_proxy, replace_file):
    await tls_proxy.use("one", trusts="one")
    set_drive(
        harness, tls_proxy.url, ca_file=replace_file("ca.pem", "one.crt"), client_cert=replace_file("client.pem", "one")
    )
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "a"))
    await harness.wait_for_counts(done=1)
    await tls_proxy.use("one", trusts="two")
    (harness.inbox / "b.jpg").write_bytes(random_bytes(1000, "b"))
    await until_state(harness, "offline")
    replace_file("client.pem", "two")
    await harness.wait_for_counts(done=2)
    assert (await drive(harness))["state"] == "online"


@pytest.mark.e2e  # openssl makes the certificates
async def test_renewal_ca_file_is_used_without_reload(harness, tls_proxy, replace_file):
    await tls_proxy.use("one")
    set_drive(harness, tls_proxy.url, ca_file=replace_file("ca.pem", "one.crt"))
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "a"))
    await harness.wait_for_counts(done=1)
    await tls_proxy.use("two")
    (harness.inbox / "b.jpg").write_bytes(random_bytes(1000, "b"))
    await until_state(harness, "offline")
    replace_file("ca.pem", "two.crt")
    await harness.wait_for_counts(done=2)


@pytest.mark.e2e  # openssl makes the certificates
async def test_renewal_certificate_without_key_is_ignored(harness, tls_proxy, replace_file):
    await tls_proxy.use("one", trusts="one")
    files = {"client_cert": replace_file("client.pem", "one.crt"), "client_key": replace_file("client.key", "one.key")}
    set_drive(harness, tls_proxy.url, ca_file=replace_file("ca.pem", "one.crt"), **files)
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "a"))
    await harness.wait_for_counts(done=1)
    replace_file("client.pem", "two.crt")

    async def problem():
        return (await drive(harness))["credentials_problem"]

    assert "the key does not belong to the certificate" in await wait_until(problem)
    (line,) = await harness.reload()
    assert line.startswith(f"remote drive: client_cert {harness.folder}/client.pem can't be used")
    assert line.endswith("the earlier credentials stay in use")
    (harness.inbox / "b.jpg").write_bytes(random_bytes(1000, "b"))
    await harness.wait_for_counts(done=2)
    await tls_proxy.use("one", trusts="two")
    replace_file("client.key", "two.key")
    (harness.inbox / "c.jpg").write_bytes(random_bytes(1000, "c"))
    await harness.wait_for_counts(done=3)
    assert await problem() is None


@pytest.mark.e2e  # openssl makes the certificates
async def test_renewal_certificate_is_used_at_reload(harness, tls_proxy, replace_file, monkeypatch):
    monkeypatch.setattr(credential_renewal, "CHECK_INTERVAL_SECONDS", 3600)
    await tls_proxy.use("one")
    set_drive(harness, tls_proxy.url, ca_file=replace_file("ca.pem", "one.crt"))
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "a"))
    await harness.wait_for_counts(done=1)
    await tls_proxy.use("two")
    replace_file("ca.pem", "two.crt")
    assert await harness.reload() == ["remote drive: ca_file renewed"]
    (harness.inbox / "b.jpg").write_bytes(random_bytes(1000, "b"))
    await harness.wait_for_counts(done=2)
    assert await harness.reload() == []


async def test_renewal_rotated_token_is_used_without_reload(harness, tmp_path):
    file = harness.folder / "drive.token"
    file.write_text(OLD + "\n")
    file.chmod(0o600)
    async with running_receiver(tmp_path / "another", token=NEW) as url:
        set_drive(harness, url, token_file="drive.token")
        await harness.start()
        (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "a"))
        await until_state(harness, "unauthorized")
        for broken in ("", "two words"):
            file.write_text(broken)
            (line,) = await harness.daemon.renewal.check()
            assert line.startswith(f"remote drive: token_file {file} can't be used")
        file.write_text(NEW + "\n")
        await harness.wait_for_counts(done=1)
        assert (await drive(harness))["credentials_problem"] is None
        assert await harness.reload() == []
        await harness.stop()


async def test_renewal_new_token_is_redacted_in_log(harness, tmp_path):
    file = harness.folder / "drive.token"
    file.write_text(OLD)
    file.chmod(0o600)
    set_drive(harness, harness.url, token_file="drive.token")
    harness.settings["logging"] = {"file": "syncd.log", "format": "json"}
    await harness.start()
    await harness.reload()  # opens the log file, as the start of a process does
    file.write_text(NEW)
    assert await harness.daemon.renewal.check() == ["remote drive: token_file renewed"]
    credential_renewal.log.info("asked", header=f"Bearer {NEW}")
    text = (harness.folder / "syncd.log").read_text()
    assert NEW not in text
    assert f"Bearer {MASKED}" in text
    assert '"remote.renewed"' in text


async def test_renewal_without_change_interrupts_nothing(harness):
    await harness.start()
    workers = dict(harness.daemon.runtime.scheduler.workers)
    assert await harness.daemon.renewal.check() == []
    assert harness.daemon.runtime.scheduler.workers == workers


async def test_renewal_during_upload_repeats_no_chunk(harness):
    """The chunks that arrived before the renewal are not sent again."""
    file = harness.folder / "drive.token"
    file.write_text(OLD)
    file.chmod(0o600)
    set_drive(harness, harness.url, token_file="drive.token")
    harness.settings["scheduler"]["concurrency"] = 1
    await harness.start()
    changes = []
    harness.daemon.runtime.store.changes.subscribe(changes.append)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100 * 65_536))
    await wait_until(lambda: any(flight.sent for flight in harness.daemon.runtime.scheduler.progress()))
    file.write_text(NEW)
    await wait_until(lambda: harness.daemon.runtime.config.remotes["drive"].token.get_secret_value() == NEW)
    await harness.wait_for_counts(done=1)
    assert (await harness.counters())["chunks_repeated"] == 0
