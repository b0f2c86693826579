"""Builds the state of the daemon from its events, for ``syncd ctl watch``.

``watch_view`` draws it; ``watch`` prints the lines that :meth:`WatchModel.apply` yields.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from syncd.cli.formatting import clean, count, duration, next_attempt, size, sync_progress
from syncd.control.problems import stopped_until

Document = Mapping[str, Any]

MAX_FAILURES = 3
"""Most recent failures that are shown."""


class WatchModel:
    """The state of the daemon; ``state`` is empty before the first event."""

    def __init__(self) -> None:
        self.state = ""
        self.stopped_until: str | None = None
        self.folders: dict[str, Document] = {}
        self.remotes: dict[str, Document] = {}
        self.failures: deque[Document] = deque(maxlen=MAX_FAILURES)
        self.uploads: list[Document] = []
        self.jobs: Mapping[str, int] = {}
        self.pending = self.finished = self.sent = 0
        self.rate = 0.0
        self.left: float | None = None
        self.sync: Document | None = None

    def apply(self, kind: str, document: Document) -> Iterator[str]:
        """Apply an event; yield a line for each change of state."""
        match kind:
            case "daemon":
                yield from self._daemon(document)
            case "folder":
                yield from self._update(self.folders, document["path"], document)
            case "remote":
                yield from self._update(self.remotes, document["name"], document)
            case "job":
                if document["state"] == "failed":
                    self.failures.appendleft(document)
                yield _job(document)
            case "progress":
                self._progress(document)
            case "lost":
                yield f"{count(document['count'], 'change')} lost here, because this client read too slowly"

    def _daemon(self, document: Document) -> Iterator[str]:
        for known, names in (self.folders, document["folders"]), (self.remotes, document["remotes"]):
            for gone in known.keys() - set(names):
                del known[gone]
        until = document.get("stopped_until")
        if (self.state, self.stopped_until) != (document["state"], until):
            self.state, self.stopped_until = document["state"], until
            yield f"syncd is {clean(self.state)}{stopped_until(until)}"

    def _update(self, known: dict[str, Document], name: str, document: Document) -> Iterator[str]:
        before = known.get(name)
        known[name] = document
        if before is None or (before["state"], before["detail"]) != (document["state"], document["detail"]):
            yield state_line(name, document)

    def _progress(self, document: Document) -> None:
        """Apply a progress event.

        Pending bytes grow as files are found, and shrink as bytes are sent.
        """
        self.uploads = sorted(document["flights"], key=lambda upload: int(upload["id"]))
        self.jobs = document["jobs"]
        numbers = document["bytes"]
        self.finished += max(0, self.pending - numbers["pending"])
        self.pending, self.sent, self.rate = numbers["pending"], numbers["sent"], numbers["per_second"]
        self.left, self.sync = document["eta_seconds"], document.get("sync")
        if not self.pending:
            self.finished = 0  # the next batch of files starts at 0

    @property
    def fraction(self) -> float:
        """The fraction of the bytes that is sent, from 0 to 1."""
        total = self.finished + self.pending
        return self.finished / total if total else 1.0

    def numbers(self) -> list[str]:
        """Return the numbers of the uploads as short texts.

        They are the percentage sent, the bytes to send, the rate, the time left, and the count of the uploads.
        """
        if not self.pending:
            return ["nothing to send", f"{size(self.sent)} sent"]
        left = [] if self.left is None else [f"{duration(self.left)} left"]
        counts = filter(None, [sync_progress(self.sync)])
        return [f"{self.fraction:.0%}", f"{size(self.pending)} to send", f"{size(self.rate)}/s", *left, *counts]


def state_line(name: str, document: Document) -> str:
    """Return the state of a folder or a remote as one line."""
    soon = next_attempt(document.get("retry_in_seconds"))
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(name)} {clean(document['state'])}{soon}{detail}"


def _job(document: Document) -> str:
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(document['state']):<9} {clean(document['remote'])} {clean(document['path'])}{detail}"
