"""Removes a batch of uploaded files, in a thread of :mod:`~syncd.daemon.after_upload`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from syncd.config.model import Folder
from syncd.platform import removal
from syncd.platform.removal import CHANGED, ArchiveDirectory, ContentMismatchError, NotRemovedError, RemovalProof


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """A file to remove, and the hidden name that it has while it is checked once more."""

    path: str
    proven: RemovalProof
    hidden: str


class RemovalBatch:
    """Removes files of one folder; setting ``stop`` ends the batch after the current file."""

    def __init__(self, folder: Folder, archive: ArchiveDirectory | None, stop: threading.Event) -> None:
        self._folder = folder
        self._archive = archive
        self._stop = stop
        self.removed: list[str] = []
        self.altered: list[str] = []
        """Files that were not removed because their content is not the uploaded one."""
        self.kept: dict[str, str] = {}
        """The reason for each kept file, by path."""

    def remove(self, requests: Sequence[RemovalRequest]) -> None:
        """Delete or move the files. Blocks."""
        for request in requests:
            if self._stop.is_set():
                return
            if reason := self._remove(request):
                self.kept[request.path] = reason
            else:
                self.removed.append(request.path)

    def _remove(self, request: RemovalRequest) -> str | None:
        """Remove one file; return the reason if it is kept."""
        try:
            removal.remove(
                self._folder.path, request.path, request.proven, request.hidden, archive=self._archive, stop=self._stop
            )
        except ContentMismatchError as kept:
            self.altered.append(request.path)
            return str(kept)
        except NotRemovedError as kept:
            return str(kept)
        except FileNotFoundError:  # the watch records the disappearance
            return CHANGED
        except OSError as error:
            return error.strerror or str(error)
        return None
