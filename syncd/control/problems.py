"""Lists what needs attention in a status document.

``syncd ctl status`` prints the problems, and :mod:`syncd.notify` tells a person about them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from syncd import localtime
from syncd.control.schemas import FolderStatus, RemoteStatus, Status
from syncd.core.text import count, terminal_safe


class Severity(IntEnum):
    """The exit codes of a monitoring plug-in."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should look at. ``text`` is safe to print.

    ``key`` stays the same while the problem lasts, even if ``text`` changes. ``unavailable`` means that a folder or a
    remote cannot be reached, which often ends without help.
    """

    key: str
    severity: Severity
    text: str
    unavailable: bool = False


def problems(document: Status) -> list[Problem]:
    """Return the problems, the most severe first."""
    return sorted(_problems(document), key=lambda problem: -problem.severity)


def stopped_until(instant: str | None, today: datetime | None = None) -> str:
    """Return a text like `` until 07:00`` for the field ``stopped_until``.

    The text is empty if only the user ends the pause.
    """
    if not instant:
        return ""
    try:
        return f" until {localtime.minute(datetime.fromisoformat(instant), today)}"
    except (ValueError, OverflowError):
        return f" until {terminal_safe(instant)}"


def _problems(document: Status) -> Iterator[Problem]:
    if blocked := document.get("store_blocked"):  # older daemons omit the field
        text = f"the job store cannot be written: {terminal_safe(blocked)}"
        yield Problem("store", Severity.CRITICAL, text)
    for folder in document["folders"]:
        yield from _folder_problems(folder)
    for remote in document["remotes"]:
        yield from _remote_problems(remote)
    if failed := document["jobs"].get("failed"):
        unreadable = document.get("unreadable_files")
        reason = f" ({count(unreadable, 'file')} cannot be read)" if unreadable else ""
        yield Problem("failed", Severity.WARNING, count(failed, "failed upload") + reason)
    if document["state"] in ("stopped", "stopping"):
        yield Problem(
            "state", Severity.WARNING, f"uploading is {document['state']}{stopped_until(document.get('stopped_until'))}"
        )


def _folder_problems(folder: FolderStatus) -> Iterator[Problem]:
    path = terminal_safe(folder["path"])
    if folder["state"] == "offline":
        yield Problem(f"folder {path}", Severity.CRITICAL, f"folder {path} is missing", unavailable=True)
    elif folder["detail"]:
        text = f"folder {path}: {terminal_safe(folder['detail'])}"
        yield Problem(f"folder detail {path}", Severity.WARNING, text)


def _remote_problems(remote: RemoteStatus) -> Iterator[Problem]:
    name = terminal_safe(remote["name"])
    if remote["state"] == "unauthorized":
        yield Problem(f"token {name}", Severity.CRITICAL, f"remote {name} rejects the token")
    elif remote["state"] != "online":
        text = f"remote {name} is {terminal_safe(remote['state'])}"
        yield Problem(f"remote {name}", Severity.CRITICAL, text, unavailable=True)
    if problem := remote.get("credentials_problem"):
        text = f"remote {name}: {terminal_safe(problem)}"
        yield Problem(f"credentials {name}", Severity.WARNING, text)
