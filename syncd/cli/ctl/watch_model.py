"""The model of ``syncd ctl watch``: the state of the daemon, built from its events."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from syncd.cli.formatting import clean, duration, size

Document = Mapping[str, Any]

MAX_FAILURES = 3
"""Failures shown."""


class WatchModel:
    """The state of the daemon from the events so far; ``state`` is empty before the first one."""

    def __init__(self) -> None:
        self.state = ""
        self.folders: dict[str, Document] = {}
        self.remotes: dict[str, Document] = {}
        self.failures: deque[Document] = deque(maxlen=MAX_FAILURES)
        self.flights: list[Document] = []
        self.jobs: Mapping[str, int] = {}
        self.pending = self.finished = self.sent = 0
        self.rate = 0.0
        self.left: float | None = None

    def apply(self, kind: str, document: Document) -> Iterator[str]:
        """Apply an event; yield a line for each change worth reporting."""
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
                yield f"{document['count']} changes are missing here: there were too many to send"

    def _daemon(self, document: Document) -> Iterator[str]:
        for known, names in (self.folders, document["folders"]), (self.remotes, document["remotes"]):
            for gone in known.keys() - set(names):
                del known[gone]
        if self.state != document["state"]:
            self.state = document["state"]
            yield f"syncd is {clean(self.state)}"

    def _update(self, known: dict[str, Document], name: str, document: Document) -> Iterator[str]:
        before = known.get(name)
        known[name] = document
        if before is None or (before["state"], before["detail"]) != (document["state"], document["detail"]):
            yield state_line(name, document)

    def _progress(self, document: Document) -> None:
        """Apply a progress event. Pending bytes grow as files are found, and shrink as bytes are sent."""
        self.flights = sorted(document["flights"], key=lambda flight: int(flight["id"]))
        self.jobs = document["jobs"]
        numbers = document["bytes"]
        self.finished += max(0, self.pending - numbers["pending"])
        self.pending, self.sent, self.rate = numbers["pending"], numbers["sent"], numbers["per_second"]
        self.left = document["eta_seconds"]
        if not self.pending:
            self.finished = 0  # the next batch starts at 0

    @property
    def share(self) -> float:
        """The share of the bytes to send that is sent, from 0 to 1."""
        whole = self.finished + self.pending
        return self.finished / whole if whole else 1.0

    def numbers(self) -> list[str]:
        """Return short texts: the share sent, the bytes to send, the rate and the time left."""
        if not self.pending:
            return ["nothing to send", f"{size(self.sent)} sent"]
        left = [] if self.left is None else [f"{duration(self.left)} left"]
        return [f"{self.share:.0%}", f"{size(self.pending)} to send", f"{size(self.rate)}/s", *left]


def state_line(name: str, document: Document) -> str:
    """Return the state of a folder or a remote as one line."""
    retry = document.get("retry_in_seconds")
    soon = "" if retry is None else f", next try in {duration(retry)}"
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(name)} {clean(document['state'])}{soon}{detail}"


def _job(document: Document) -> str:
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(document['state']):<9} {clean(document['remote'])} {clean(document['path'])}{detail}"
