"""What ``syncd ctl watch`` knows of the daemon: put together from its events, and nothing else."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from syncd.cli.formatting import clean, duration, size

Document = Mapping[str, Any]

REMEMBERED = 3
"""Failures that are shown."""


class Scene:
    """The daemon as far as it was told. ``state`` is empty until it was."""

    def __init__(self) -> None:
        self.state = ""
        self.folders: dict[str, Document] = {}
        self.remotes: dict[str, Document] = {}
        self.failures: deque[Document] = deque(maxlen=REMEMBERED)
        self.flights: list[Document] = []
        self.jobs: Mapping[str, int] = {}
        self.pending = self.finished = self.sent = 0
        self.rate = 0.0
        self.left: float | None = None

    def take(self, kind: str, document: Document) -> Iterator[str]:
        """Learn from an event; return lines for what is worth one."""
        match kind:
            case "daemon":
                yield from self._daemon(document)
            case "folder":
                yield from self._one(self.folders, document["path"], document)
            case "remote":
                yield from self._one(self.remotes, document["name"], document)
            case "job":
                if document["state"] == "failed":
                    self.failures.appendleft(document)
                yield _job(document)
            case "progress":
                self._progress(document)
            case "lost":
                yield f"{document['count']} changes are missing here: they came too fast"

    def _daemon(self, document: Document) -> Iterator[str]:
        for known, names in (self.folders, document["folders"]), (self.remotes, document["remotes"]):
            for gone in known.keys() - set(names):
                del known[gone]
        if self.state != document["state"]:
            self.state = document["state"]
            yield f"syncd is {clean(self.state)}"

    def _one(self, known: dict[str, Document], name: str, document: Document) -> Iterator[str]:
        before = known.get(name)
        known[name] = document
        if before is None or (before["state"], before["detail"]) != (document["state"], document["detail"]):
            yield standing(name, document)

    def _progress(self, document: Document) -> None:
        """Take what is in flight; what is pending grows while more is found and shrinks by what is finished."""
        self.flights = sorted(document["flights"], key=lambda flight: int(flight["id"]))
        self.jobs = document["jobs"]
        numbers = document["bytes"]
        self.finished += max(0, self.pending - numbers["pending"])
        self.pending, self.sent, self.rate = numbers["pending"], numbers["sent"], numbers["per_second"]
        self.left = document["eta_seconds"]
        if not self.pending:
            self.finished = 0  # the next lot begins anew

    @property
    def share(self) -> float:
        """Return how much of what there was to send is sent, from 0 to 1."""
        whole = self.finished + self.pending
        return self.finished / whole if whole else 1.0

    def numbers(self) -> list[str]:
        """Return what is left, the rate and the time, each a short text."""
        if not self.pending:
            return ["nothing to send", f"{size(self.sent)} sent"]
        left = [] if self.left is None else [f"{duration(self.left)} left"]
        return [f"{self.share:.0%}", f"{size(self.pending)} to send", f"{size(self.rate)}/s", *left]


def standing(name: str, document: Document) -> str:
    """Say how a folder or a server is."""
    retry = document.get("retry_in_seconds")
    soon = "" if retry is None else f", next try in {duration(retry)}"
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(name)} {clean(document['state'])}{soon}{detail}"


def _job(document: Document) -> str:
    detail = f": {clean(document['detail'])}" if document["detail"] else ""
    return f"{clean(document['state']):<9} {clean(document['remote'])} {clean(document['path'])}{detail}"
