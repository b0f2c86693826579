"""Makes a self-signed certificate for a server on this machine."""

import shutil
import subprocess
from pathlib import Path

import pytest


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and localhost, and its key.

    Returns both paths. Skips the test without openssl.
    """
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    command = ["openssl", "req", "-x509", "-days", "2", *kind, "-out", str(certificate), *names]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
