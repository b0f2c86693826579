"""What a server of the multipart API is told about a file: its hash, and how it is to be kept."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from syncd.config.remotes import MultipartRemote as Settings
from syncd.core.model import Content


class MultipartHasher:
    """Computes the hash that the service knows a file by."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if algorithm == "md5" else None
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
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
    """How files are to be kept, by the settings. ``clock`` gives seconds since the epoch."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock

    @property
    def is_plain(self) -> bool:
        """Whether a file is to be kept as by default: servers heed all else in *create* alone, not in *direct*."""
        settings = self._settings
        pool = (settings.pool_id or "").replace("-", "").strip("0")
        return not (pool or settings.bundle_id or settings.expired_at or settings.encrypt_password)

    def fields(self, content: Content) -> dict[str, str]:
        """Return what *create* and *direct* are both told about a file."""
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
