"""Formats the daemon's answers as lines for ``ctl.command``.

Texts from the daemon are escaped, because they can quote a server.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from syncd import __version__
from syncd.cli import formatting, narrow
from syncd.cli.ctl import attention
from syncd.cli.formatting import clean
from syncd.control.client import RESTART_ADVICE
from syncd.control.problems import problems, stopped_until
from syncd.control.schemas import FolderStatus, Job, JobDetail, RemoteStatus, Status

_COLOURS = {
    "running": "green",
    "watching": "green",
    "online": "green",
    "done": "green",
    "uploading": "cyan",
    "scanning": "cyan",
    "stopped": "yellow",
    "stopping": "yellow",
    "waiting": "yellow",
    "offline": "red",
    "unauthorized": "red",
    "blocked": "red",
    "failed": "red",
}


def status(document: Status) -> Iterator[str]:
    """Yield what needs attention, then all states and the fixes of problems."""
    yield click.style(attention.headline(document), bold=True, fg="red" if problems(document) else "green")
    up = formatting.duration(document["uptime_seconds"])
    yield f"syncd {clean(document['version'])}, {_coloured(document['state'])}, pid {document['pid']}, up {up}"
    if document["version"] != __version__:
        yield f"  {RESTART_ADVICE}"
    if document["state"] == "stopped":
        until = stopped_until(document.get("stopped_until"))  # older daemons omit the field
        yield f"  uploading is stopped{until}; resume with: syncd ctl start"
    if blocked := document.get("store_blocked"):  # older daemons omit the field
        yield f"  all jobs wait, because the job store cannot be written: {clean(blocked)}"
    yield ""
    yield click.style("Folders", bold=True)
    for folder in document["folders"]:
        yield from _folder(folder)
    yield ""
    yield click.style("Remotes", bold=True)
    width = max((len(clean(remote["name"])) for remote in document["remotes"]), default=0)
    for remote in document["remotes"]:
        yield from _remote(remote, width)
    yield ""
    yield from _work(document)
    if document["dashboard"]:
        yield ""
        yield f"Dashboard at {clean(document['dashboard'])}: syncd ctl open"


def _folder(folder: FolderStatus) -> Iterator[str]:
    remotes = ", ".join(map(clean, folder["remotes"]))
    yield f"  {clean(folder['path'])} → {remotes}"
    how = {"native": "by events", "poll": "by polling"}.get(folder["watch"], clean(folder["watch"]))
    yield f"    {_coloured(folder['state'])} {how}, {formatting.count(folder['files'], 'file')}"
    if left_out := folder.get("left_out_files"):  # older daemons omit the field
        yield f"    {formatting.left_out(left_out, folder['left_out_videos'] or 0)}"
    if folder["detail"]:
        yield f"    {clean(folder['detail'])}"
    elif folder["state"] == "offline":
        yield "    the folder does not exist; mount it, and the daemon will find it again"


def _remote(remote: RemoteStatus, width: int) -> Iterator[str]:
    soon = formatting.next_attempt(remote["retry_in_seconds"])
    state = _coloured(remote["state"]) + ("" if remote["state"] == "online" else _since(remote))
    yield f"  {clean(remote['name']):<{width}}  {state}{soon}  {clean(remote['url'])}"
    indent = " " * (width + 4)
    if remote["detail"]:
        yield indent + clean(remote["detail"])
    if remote["state"] == "unauthorized":
        yield indent + "the server rejected the token; replace it, then run: syncd ctl reload"
    elif remote["state"] == "offline":
        yield indent + "its files wait and are uploaded when the server is back"


def _since(remote: RemoteStatus) -> str:
    """Return since when the remote is in its state; an older daemon does not say."""
    since = remote.get("since")
    return f" since {_local(since)[:16]}" if since else ""


def _work(document: Status) -> Iterator[str]:
    counts = {state: number for state, number in document["jobs"].items() if number}
    yield click.style("Jobs", bold=True)
    if line := formatting.sync_progress(document.get("sync")):  # older daemons omit the field
        yield f"  {line}"
    yield "  " + (", ".join(f"{number:,} {_coloured(state)}" for state, number in counts.items()) or "none yet")
    pending, rate, left = document["bytes"]["pending"], document["bytes"]["per_second"], document["eta_seconds"]
    if pending:
        yield f"  {formatting.size(pending)} to send, {formatting.size(rate)}/s" + (
            "" if left is None else f", {formatting.duration(left)} left"
        )
    if counts.get("failed"):
        yield "  list them with: syncd ctl jobs --state failed; retry them with: syncd ctl retry --all"
    if counts.get("skipped"):
        yield "  list the skipped ones with: syncd ctl jobs --state skipped"


def jobs(found: Sequence[Job], *, more: bool) -> Iterator[str]:
    """Yield a line for each job, and a second line for its detail.

    The path is the last column, because it can be long.
    """
    if not found:
        yield "no jobs"
        return
    rows = [
        (str(job["id"]), clean(job["state"]), clean(job["remote"]), _size(job), clean(job["path"])) for job in found
    ]
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    stacked = narrow.is_narrow()
    for job, (number, state, remote, size, path) in zip(found, rows, strict=True):
        if stacked:
            yield f"{number} {_coloured(state)} → {remote}, {size}"
            yield f"  {path}"
        else:
            padded = _coloured(state) + " " * (width[1] - len(state))
            yield f"{number:>{width[0]}}  {padded}  {remote:<{width[2]}}  {size:>{width[3]}}  {path}"
        if details := ", ".join(_details(job)):
            yield " " * (2 if stacked else width[0] + 2) + details
    if more:
        yield f"only the first {len(found)} are shown; see more with --limit, --state, --folder, --remote or --search"


def history(found: Sequence[JobDetail]) -> Iterator[str]:
    """Yield each job with its history; a blank line separates jobs."""
    for index, job in enumerate(found):
        if index:
            yield ""
        yield click.style(clean(job["path"]), bold=True)
        yield f"  job {job['id']} to {clean(job['remote'])}: {_coloured(job['state'])}"
        for detail in _details(job):
            yield f"  {detail}"
        failures = f", {formatting.count(job['attempts'], 'failed attempt')}" if job["attempts"] else ""
        yield f"  {_size(job)}{failures}" + (f", on the server {clean(job['ref'])}" if job["ref"] else "")
        for day, steps in itertools.groupby(job["history"], key=lambda step: _local(step["at"])[:10]):
            yield f"  {day}"
            for step in steps:
                reason = f": {clean(step['detail'])}" if step["detail"] else ""
                yield f"    {_local(step['at'])[11:]}  {clean(step['cause'])} → {_coloured(step['state'])}{reason}"


def _details(job: Job) -> Iterator[str]:
    if job["outcome"] == "duplicate":
        yield "the server already had this content"
    if job["detail"]:
        yield clean(job["detail"])
    if job["due_in_seconds"] is not None and job["state"] == "waiting":
        due = job["due_in_seconds"]
        yield f"next try in {formatting.duration(due)}" if due >= 1 else "next try now"


def _size(job: Job) -> str:
    return "-" if job["size"] is None else formatting.size(job["size"])


def _local(instant: str) -> str:
    """Return the local time of an ISO 8601 instant, to a tenth of a second."""
    try:
        return datetime.fromisoformat(instant).astimezone().isoformat(sep=" ", timespec="milliseconds")[:21]
    except ValueError:
        return clean(instant)


def _coloured(state: str) -> str:
    return click.style(clean(state), fg=_COLOURS.get(state))
