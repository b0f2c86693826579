"""The conditions under which a server is asked to store content, as a text that the store can keep."""

import hashlib
from datetime import UTC, datetime, timedelta

from syncd.config.remotes import MultipartRemote

_KEPT_HASH_BYTES = 2
"""Bytes of a password's hash that are kept: enough to notice a change, of no use for finding the password, as every
65,536th guess has the same."""


def terms(settings: MultipartRemote, *, salt: bytes) -> str:
    """Return the text; equal terms have equal texts, and no password can be read from it."""
    told = []
    if settings.expired_at is not None:
        told.append(f"expired_at {_when(settings.expired_at)}")
    if settings.encrypt_password is not None:
        told.append(f"encrypt_password {_fingerprint(settings.encrypt_password.get_secret_value(), salt)}")
    return ", ".join(told)


def _when(expiry: timedelta | datetime) -> str:
    """Write a lifetime as such: the time that it ends at is another one for each file."""
    if isinstance(expiry, timedelta):
        return f"{expiry.total_seconds()} s"
    return expiry.astimezone(UTC).isoformat()


def _fingerprint(password: str, salt: bytes) -> str:
    secret = password.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=32)[:_KEPT_HASH_BYTES].hex()
