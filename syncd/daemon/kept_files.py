"""Remembers why files that are due for removal were kept, and when to try them again.

Used by :mod:`~syncd.daemon.after_upload` alone; nothing is stored.
"""

import time
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

import structlog

from syncd.core.text import printable
from syncd.store.records import UploadedFile

log = structlog.get_logger()

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 60.0, 3600.0
"""The pause before a kept file is tried again: the first, doubled each time, and the longest."""
MAX_ATTEMPTS_KEPT = 50_000
"""Files whose last attempt is remembered; further files are tried at each sweep."""
LOG_INTERVAL_SECONDS = 60.0
"""Shortest time between two ``file.kept`` events for the same folder and reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """The last attempt to remove a version of a file; the next is at ``due`` (monotonic)."""

    version: int
    reason: str
    due: float
    pause: float


class KeptFiles:
    """The files that the last sweep has kept.

    A sweep calls :meth:`begin_sweep`; for each folder :meth:`record` for each kept file, then :meth:`set_counts`; and
    :meth:`end_sweep`.
    """

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], _Attempt] = {}
        self._recorded: dict[tuple[str, str], _Attempt] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._logged: dict[tuple[str, str], tuple[int, float]] = {}

    @property
    def total(self) -> int:
        """The number of kept files in all folders."""
        return sum(counter.total() for counter in self._counts.values())

    def detail(self, folder: str) -> str | None:
        """Describe the number of kept files and the main reasons; None if there are none."""
        counts = self._counts.get(folder)
        if not counts:
            return None
        reasons = "; ".join(f"{count}: {reason}" for reason, count in counts.most_common(3))
        return f"{counts.total()} uploaded but kept here ({reasons})"

    def reason_to_wait(self, folder: str, file: UploadedFile) -> str | None:
        """Return the last attempt's reason if the next one is not due yet, else None."""
        attempt = self._last(folder, file)
        return attempt.reason if attempt is not None and attempt.due > time.monotonic() else None

    def record(self, folder: str, file: UploadedFile, reason: str) -> None:
        """Record that a file is kept, and schedule its next attempt."""
        if len(self._recorded) >= MAX_ATTEMPTS_KEPT:
            return
        now, attempt = time.monotonic(), self._last(folder, file)
        if attempt is None or attempt.due <= now:
            repeated = attempt is not None and attempt.reason == reason
            pause = min(MAX_RETRY_SECONDS, attempt.pause * 2) if attempt and repeated else FIRST_RETRY_SECONDS
            attempt = _Attempt(version=file.version, reason=reason, due=now + pause, pause=pause)
        self._recorded[folder, file.path] = attempt

    def _last(self, folder: str, file: UploadedFile) -> _Attempt | None:
        """Return the last attempt if it was for the same version of the file."""
        attempt = self._attempts.get((folder, file.path))
        return attempt if attempt is not None and attempt.version == file.version else None

    def set_counts(self, folder: str, counts: Counter[str]) -> None:
        """Set the numbers of kept files by reason, and log those that have changed."""
        self._counts[folder] = counts
        now = time.monotonic()
        for reason, count in counts.items():
            before, at = self._logged.get((folder, reason), (0, -LOG_INTERVAL_SECONDS))
            if count != before and now - at >= LOG_INTERVAL_SECONDS:
                self._logged[folder, reason] = count, now
                log.warning("file.kept", folder=printable(folder), reason=reason, count=count)
        for key in [key for key in self._logged if key[0] == folder and key[1] not in counts]:
            del self._logged[key]

    def begin_sweep(self) -> None:
        """Discard the records of an unfinished sweep."""
        self._recorded = {}

    def end_sweep(self) -> None:
        """Replace the attempts by those that the sweep has recorded; other files are forgotten."""
        self._attempts = self._recorded

    def reset(self, folders: Container[str]) -> None:
        """Try all files at the next sweep, and forget folders that are not in ``folders``."""
        self._attempts = {}
        self._counts = {path: counts for path, counts in self._counts.items() if path in folders}
