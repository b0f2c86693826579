"""Creates the TLS context of a remote: TLS 1.2 or later, with the configured certificates."""

import hashlib
import ssl
from pathlib import Path
from typing import NoReturn

from syncd.config.remotes import Remote as Settings
from syncd.core.errors import Scope, Transient

_REASONS = {
    "NO_CERTIFICATE_OR_CRL_FOUND": "the file contains no PEM certificate",
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
}
_UNLOCK = "remove the password with openssl pkey -in KEY -out KEY.open, and chmod 600 that file"
_NOT_PEM = "the file must contain a certificate and its key, as PEM; the key may be in client_key"


def files(settings: Settings) -> dict[str, Path]:
    """Return the certificate and key files, by configuration key.

    :func:`context` reads them only once, so a renewal needs a new context.
    """
    named = {"ca_file": settings.ca_file, "client_cert": settings.client_cert, "client_key": settings.client_key}
    return {key: path for key, path in named.items() if path is not None}


def digests(settings: Settings) -> dict[str, bytes | None]:
    """Return the SHA-256 of each file, by configuration key; None for an unreadable file."""
    return {key: _digest(path) for key, path in files(settings).items()}


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None


def context(settings: Settings) -> ssl.SSLContext:
    """Return a TLS context.

    Raises ``Transient`` if a file is unusable: uploads resume once the user has repaired it.
    """
    try:
        tls_context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise _unusable("ca_file", settings.ca_file, _reason(error, "the file contains no PEM certificate")) from None
    tls_context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.client_cert is not None:
        try:
            tls_context.load_cert_chain(settings.client_cert, settings.client_key, password=_reject_encrypted_key)
        except OSError as error:
            raise _unusable("client_cert", settings.client_cert, _reason(error, _NOT_PEM)) from None
        except ValueError as error:
            locked = settings.client_key or settings.client_cert
            raise _unusable("client_key", locked, str(error), advice=_UNLOCK) from None
    return tls_context


def _reject_encrypted_key() -> NoReturn:
    """Reject an encrypted key.

    Without this callback, OpenSSL would ask for the password on the terminal.
    """
    raise ValueError("the key is encrypted with a password")


def _reason(error: OSError, otherwise: str) -> str:
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", otherwise)
    return (error.strerror or otherwise).lower()


def _unusable(key: str, path: object, reason: str, *, advice: str = "") -> Transient:
    return Transient(f"{key} {path} can't be used: {reason}", advice=advice or f"check {key}", scope=Scope.REMOTE)
