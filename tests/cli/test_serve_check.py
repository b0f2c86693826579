"""``syncd serve --check`` and TLS.

Each problem names its fix, and the check leaves no file in the folder.
"""

import os
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.support.certificates import self_signed


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.e2e
def test_check_without_problem_exits_zero(syncd, tmp_path, tls_files):
    tls = ("--tls-cert", tls_files[0], "--tls-key", tls_files[1])
    (tmp_path / "token").write_text("secret")
    options = ("--port", "0", "--layout", "names", "--token-file", tmp_path / "token")
    result = syncd("serve", "--check", "--dir", tmp_path / "r", *options, *tls)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ok ") for line in lines)
    assert files_below(tmp_path / "r") == []


def test_check_folder_not_writable_names_fix(syncd, tmp_path):
    (tmp_path / "r").write_text("a file")
    result = syncd("serve", "--check", "--dir", tmp_path / "r", "--port", "0")
    assert result.code == 1
    assert f"error  folder {tmp_path / 'r'}: File exists; let this user write it" in result.out


def test_check_failed_flush_is_reported(syncd, tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    result = syncd("serve", "--check", "--dir", tmp_path / "r", "--port", "0")
    assert (result.code, "Input/output error; " in result.out) == (1, True)
    assert files_below(tmp_path / "r") == []


def test_check_impossible_links_names_fix(syncd, tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    result = syncd("serve", "--check", "--dir", tmp_path / "r", "--port", "0", "--layout", "names")
    assert result.code == 1
    assert "no hard link is possible: Operation not permitted; omit --layout names" in result.out
    assert syncd("serve", "--check", "--dir", tmp_path / "r", "--port", "0").code == 0


def test_check_too_little_space_names_fix(syncd, tmp_path):
    result = syncd("serve", "--check", "--dir", tmp_path / "r", "--port", "0", "--reserve", "1000TiB")
    assert (result.code, "; free space on the disk" in result.out) == (1, True)


def test_check_busy_port_names_fix(syncd, tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        result = syncd("serve", "--check", "--dir", tmp_path / "r", "--port", port)
    assert result.code == 1
    assert f"error  address 127.0.0.1 port {port}: Address already in use; end the other program" in result.out


@pytest.mark.e2e
def test_check_folder_of_running_receiver_is_in_use(syncd, receiver, tmp_path):
    result = syncd("serve", "--check", "--dir", tmp_path / "received", "--port", "0")
    assert (result.code, "another receiver uses it; end it" in result.out) == (1, True)


@pytest.mark.e2e
def test_unusable_tls_files_name_problem(syncd, tmp_path, tls_files):
    certificate, key = tls_files
    (tmp_path / "garbage.pem").write_text("no certificate")
    for first, second, problem in (
        (tmp_path / "none.pem", key, f"{tmp_path / 'none.pem'}: No such file or directory; give the certificate"),
        (tmp_path / "garbage.pem", key, "; give the certificate chain"),
        (certificate, certificate, "; give the certificate chain"),
    ):
        options = ("--dir", tmp_path / "r", "--port", "0", "--tls-cert", first, "--tls-key", second)
        checked = syncd("serve", "--check", *options)
        assert (checked.code, problem in checked.out) == (1, True)
        served = syncd("serve", *options)
        assert (served.code, problem in served.err) == (78, True)


@pytest.mark.e2e
def test_encrypted_key_is_refused_without_question(syncd, tmp_path, tls_files):
    encrypted = tmp_path / "encrypted.pem"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(tls_files[1]), "-out", str(encrypted), "-passout", "pass:word"]
    subprocess.run(command, check=True, capture_output=True)
    result = syncd("serve", "--dir", tmp_path / "r", "--port", "0", "--tls-cert", tls_files[0], "--tls-key", encrypted)
    assert (result.code, "the key has a passphrase" in result.err) == (78, True)


def test_certificate_without_key_is_usage_error(syncd, tmp_path):
    result = syncd("serve", "--dir", tmp_path / "r", "--tls-cert", "cert.pem")
    assert (result.code, "--tls-cert and --tls-key together" in result.err) == (2, True)


@pytest.mark.e2e
def test_serve_with_certificate_speaks_https(process, tmp_path, tls_files):
    certificate, key = tls_files
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--tls-cert", certificate, "--tls-key", key)
    url = started.stdout.readline().split()[0]
    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(f"{url}/v1/receiver", context=context, timeout=10) as answer:
        assert answer.status == 200
