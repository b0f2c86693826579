"""Hashes a file for the multipart API, and computes its storage options."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from syncd.config.remotes import MultipartRemote as Settings
from syncd.core.model import Content


class MultipartHasher:
    """Hashes a file with SHA-256, and with the ``algorithm`` of the server."""

    def __init__(self, algorithm: str) -> None:
        self.kind = f"multipart {algorithm}"
        self._algorithm = algorithm
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if algorithm == "md5" else None
        self._size = 0

    def update(self, data: bytes) -> None:
        """Hash the next bytes."""
        self._sha256.update(data)
        if self._md5 is not None:
            self._md5.update(data)
        self._size += len(data)

    def content(self) -> Content:
        """Return the content, after the last bytes."""
        named = self._md5 or self._sha256
        key = f"{self._algorithm}:{named.hexdigest()}"
        return Content(key=key, size=self._size, sha256=self._sha256.hexdigest())


class UploadOptions:
    """The storage options of the configuration. ``clock`` returns seconds since the epoch."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock

    @property
    def are_default(self) -> bool:
        """True if all options have their defaults.

        Servers ignore other values in *direct*, but not in *create*.
        """
        settings = self._settings
        pool = (settings.pool_id or "").replace("-", "").strip("0")
        return not (pool or settings.bundle_id or settings.expired_at or settings.encrypt_password)

    def fields(self, content: Content) -> dict[str, str]:
        """Return the fields that *create* and *direct* share."""
        settings = self._settings
        fields = {"hash": content.key.partition(":")[2]}
        if settings.pool_id is not None:
            fields["pool_id"] = settings.pool_id
        if settings.bundle_id is not None:
            fields["bundle_id"] = settings.bundle_id
        if settings.encrypt_password is not None:
            fields["encrypt_password"] = settings.encrypt_password.get_secret_value()
        if settings.expired_at is not None:
            fields["expired_at"] = self._expiry(settings.expired_at)
        return fields

    def _expiry(self, when: timedelta | datetime) -> str:
        if isinstance(when, timedelta):
            when = datetime.fromtimestamp(self._clock(), UTC) + when
        return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_KEPT_HASH_BYTES = 2
"""Bytes of a password's hash in the terms: enough to detect a change, but useless for finding the password, because
one guess in 65,536 has the same two bytes."""


def terms(settings: Settings, *, salt: bytes) -> str:
    """Return the storage conditions as a text for the store.

    Equal conditions give equal texts. The text contains no secret.
    """
    parts = []
    if settings.expired_at is not None:
        parts.append(f"expired_at {_format_expiry(settings.expired_at)}")
    if settings.encrypt_password is not None:
        parts.append(f"encrypt_password {_fingerprint(settings.encrypt_password.get_secret_value(), salt)}")
    return ", ".join(parts)


def _format_expiry(expiry: timedelta | datetime) -> str:
    """Return the expiry as text: a lifetime in seconds, or a fixed time in UTC.

    The end of a lifetime differs for each file, so it would give no equal texts.
    """
    if isinstance(expiry, timedelta):
        return f"{expiry.total_seconds()} s"
    return expiry.astimezone(UTC).isoformat()


def _fingerprint(password: str, salt: bytes) -> str:
    secret = password.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=32)[:_KEPT_HASH_BYTES].hex()
