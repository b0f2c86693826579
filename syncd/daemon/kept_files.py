"""Files that were to be deleted or moved and are kept: why, when each is tried again, and what is told of them."""

import time
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

import structlog

from syncd.core.text import printable
from syncd.store.records import UploadedFile

log = structlog.get_logger()

AGAIN, SELDOM = 60.0, 3600.0
"""Seconds after which a file that was kept is tried again, at first and at most: each time twice as long."""
MOST_REMEMBERED = 50_000
"""Files of which that is remembered; others are tried again at each sweep."""
TOLD = 60.0
"""Seconds in which no second ``file.kept`` tells of the same folder and reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """The last attempt to remove a file: which version of it, why it stayed, and when the next one is due."""

    version: int
    reason: str
    due: float
    pause: float


class KeptFiles:
    """What the last sweep of each folder has left. A sweep calls :meth:`note` for each file, then :meth:`swept`."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, str], _Attempt] = {}
        self._noted: dict[tuple[str, str], _Attempt] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._told: dict[tuple[str, str], tuple[int, float]] = {}

    @property
    def total(self) -> int:
        """The files that are kept in all folders."""
        return sum(counter.total() for counter in self._counts.values())

    def detail(self, folder: str) -> str | None:
        """Return how many files of a folder are kept, and the most frequent reasons; None if none is."""
        counts = self._counts.get(folder)
        if not counts:
            return None
        reasons = "; ".join(f"{count}: {reason}" for reason, count in counts.most_common(3))
        return f"{counts.total()} uploaded but kept here ({reasons})"

    def reason_to_wait(self, folder: str, file: UploadedFile) -> str | None:
        """Return why the file was kept if its next attempt is not due yet; None if it may be tried now."""
        attempt = self._last(folder, file)
        return attempt.reason if attempt is not None and attempt.due > time.monotonic() else None

    def note(self, folder: str, file: UploadedFile, reason: str) -> None:
        """Keep why a file stayed, and when it is tried again."""
        if len(self._noted) >= MOST_REMEMBERED:
            return
        now, attempt = time.monotonic(), self._last(folder, file)
        if attempt is None or attempt.due <= now:
            repeated = attempt is not None and attempt.reason == reason
            pause = min(SELDOM, attempt.pause * 2) if attempt is not None and repeated else AGAIN
            attempt = _Attempt(version=file.version, reason=reason, due=now + pause, pause=pause)
        self._noted[folder, file.path] = attempt

    def _last(self, folder: str, file: UploadedFile) -> _Attempt | None:
        """Return the last attempt, if it was of the same version of the file."""
        attempt = self._attempts.get((folder, file.path))
        return attempt if attempt is not None and attempt.version == file.version else None

    def swept(self, folder: str, counts: Counter[str]) -> None:
        """Take the counts of a folder over, and log those that have changed."""
        self._counts[folder] = counts
        now = time.monotonic()
        for reason, count in counts.items():
            before, at = self._told.get((folder, reason), (0, -TOLD))
            if count != before and now - at >= TOLD:
                self._told[folder, reason] = count, now
                log.warning("file.kept", folder=printable(folder), reason=reason, count=count)
        for key in [key for key in self._told if key[0] == folder and key[1] not in counts]:
            del self._told[key]

    def begin_sweep(self) -> None:
        """Forget what an unfinished sweep has noted."""
        self._noted = {}

    def end_sweep(self) -> None:
        """Take over what the sweep of all folders has noted; files that it did not meet are forgotten."""
        self._attempts = self._noted

    def reset(self, folders: Container[str]) -> None:
        """Have all files tried at once, and forget the folders that are not among these."""
        self._attempts = {}
        self._counts = {path: counts for path, counts in self._counts.items() if path in folders}
