"""Summarises a status document in one line, for people and monitoring programs.

``ctl status`` prints :func:`headline` first. ``ctl status --check`` prints :func:`check_line`, whose form and exit
codes are those of the monitoring plug-ins of Nagios. :mod:`syncd.control.problems` finds the problems.
"""

from collections.abc import Iterator

from syncd.cli import formatting
from syncd.control.problems import Severity, problems
from syncd.control.schemas import Status


def headline(document: Status) -> str:
    """Return one line: the problems, or the remaining work."""
    found = problems(document)
    return f"needs attention: {'; '.join(problem.text for problem in found)}" if found else _work(document)


def _work(document: Status) -> str:
    jobs = document["jobs"]
    if left := sum(jobs.get(state, 0) for state in ("queued", "uploading", "waiting")):
        return f"{formatting.count(left, 'upload')} to do"
    exceptions = " and ".join(_not_uploaded(document))
    return "everything is uploaded" + (f", except {exceptions}" if exceptions else "")


def _not_uploaded(document: Status) -> Iterator[str]:
    if skipped := document["jobs"].get("skipped"):
        yield formatting.count(skipped, "skipped upload")
    # The numbers are None before the first scan, and older daemons omit them.
    if files := sum(folder.get("left_out_files") or 0 for folder in document["folders"]):
        yield formatting.left_out(files, sum(folder.get("left_out_videos") or 0 for folder in document["folders"]))


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
