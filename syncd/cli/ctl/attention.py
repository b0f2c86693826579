"""Lists what needs attention in a status document, for people and for monitoring programs.

``ctl status`` prints :func:`headline` first. ``ctl status --check`` prints :func:`check_line`, whose form and exit
codes are those of the monitoring plug-ins of Nagios.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from syncd.cli import formatting
from syncd.cli.formatting import clean
from syncd.control.schemas import RemoteStatus, Status


class Severity(IntEnum):
    """The exit codes of a monitoring plug-in."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should look at. ``text`` is safe to print."""

    severity: Severity
    text: str


def problems(document: Status) -> list[Problem]:
    """Return the problems, the most severe first."""
    return sorted(_problems(document), key=lambda problem: -problem.severity)


def _problems(document: Status) -> Iterator[Problem]:
    if blocked := document.get("store_blocked"):  # older daemons omit the field
        yield Problem(Severity.CRITICAL, f"the job store cannot be written: {clean(blocked)}")
    for folder in document["folders"]:
        path = clean(folder["path"])
        if folder["state"] == "offline":
            yield Problem(Severity.CRITICAL, f"folder {path} is missing")
        elif folder["detail"]:
            yield Problem(Severity.WARNING, f"folder {path}: {clean(folder['detail'])}")
    for remote in document["remotes"]:
        yield from _remote_problems(remote)
    if failed := document["jobs"].get("failed"):
        yield Problem(Severity.WARNING, formatting.count(failed, "failed upload"))
    if document["state"] in ("stopped", "stopping"):
        yield Problem(Severity.WARNING, f"uploading is {document['state']}")


def _remote_problems(remote: RemoteStatus) -> Iterator[Problem]:
    name = clean(remote["name"])
    if remote["state"] == "unauthorized":
        yield Problem(Severity.CRITICAL, f"remote {name} rejects the token")
    elif remote["state"] != "online":
        yield Problem(Severity.CRITICAL, f"remote {name} is {clean(remote['state'])}")
    if problem := remote.get("credentials_problem"):
        yield Problem(Severity.WARNING, f"remote {name}: {clean(problem)}")


def headline(document: Status) -> str:
    """Return one line: the problems, or the remaining work."""
    found = problems(document)
    return f"needs attention: {'; '.join(problem.text for problem in found)}" if found else _work(document)


def _work(document: Status) -> str:
    jobs = document["jobs"]
    if left := sum(jobs.get(state, 0) for state in ("queued", "uploading", "waiting")):
        return f"{formatting.count(left, 'upload')} to do"
    skipped = jobs.get("skipped", 0)
    return "everything is uploaded" + (f", except {formatting.count(skipped, 'skipped upload')}" if skipped else "")


def check_line(document: Status) -> tuple[Severity, str]:
    """Return the exit code and the line of a monitoring plug-in."""
    found = problems(document)
    severity = found[0].severity if found else Severity.OK
    text = "; ".join(problem.text for problem in found) or _work(document)
    numbers = [f"{state}={number}" for state, number in document["jobs"].items()]
    numbers += [f"{name}={document['bytes'][name]}B" for name in ("pending", "sent")]
    return severity, f"SYNCD {severity.name}: {text.replace('|', '/')} | {' '.join(numbers)}"


def unreachable_line(reason: str, *, running: bool) -> tuple[Severity, str]:
    """Return the exit code and the line if there is no status document."""
    severity = Severity.UNKNOWN if running else Severity.CRITICAL
    return severity, f"SYNCD {severity.name}: {reason.replace('|', '/')}"
