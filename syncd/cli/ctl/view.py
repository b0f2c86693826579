"""What ``syncd ctl`` answers, as lines for a person.

Texts from the daemon are cleaned once more: a server's words are in them.
"""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from syncd import __version__
from syncd.cli import formatting
from syncd.cli.formatting import clean
from syncd.control.client import RESTART_ADVICE
from syncd.control.service import FolderStatus, Job, JobDetail, RemoteStatus, Status

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
    "failed": "red",
}


def status(document: Status) -> Iterator[str]:
    """How the daemon is, with what to do where something is amiss."""
    up = formatting.duration(document["uptime_seconds"])
    yield f"syncd {clean(document['version'])}, {_word(document['state'])}, pid {document['pid']}, up {up}"
    if document["version"] != __version__:
        yield f"  {RESTART_ADVICE}"
    if document["state"] == "stopped":
        yield "  nothing is uploaded until: syncd ctl start"
    if blocked := document.get("store_blocked"):  # a daemon of an earlier version does not tell
        yield f"  nothing can be stored, so all waits: {clean(blocked)}"
    yield ""
    yield click.style("Folders", bold=True)
    for folder in document["folders"]:
        yield from _folder(folder)
    yield ""
    yield click.style("Servers", bold=True)
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
    yield f"    {_word(folder['state'])} {how}, {formatting.count(folder['files'], 'file')}"
    if folder["detail"]:
        yield f"    {clean(folder['detail'])}"
    elif folder["state"] == "offline":
        yield "    the folder is not there: is it mounted? It is looked for again by itself"


def _remote(remote: RemoteStatus, width: int) -> Iterator[str]:
    retry = remote["retry_in_seconds"]
    soon = "" if retry is None else f", next try in {formatting.duration(retry)}"
    yield f"  {clean(remote['name']):<{width}}  {_word(remote['state'])}{soon}  {clean(remote['url'])}"
    indent = " " * (width + 4)
    if remote["detail"]:
        yield indent + clean(remote["detail"])
    if remote["state"] == "unauthorized":
        yield indent + "the token was refused: put a valid one in its place, then: syncd ctl reload"
    elif remote["state"] == "offline":
        yield indent + "nothing is lost: its files wait and go up when it is back"


def _work(document: Status) -> Iterator[str]:
    counts = {state: number for state, number in document["jobs"].items() if number}
    yield click.style("Jobs", bold=True)
    yield "  " + (", ".join(f"{number:,} {_word(state)}" for state, number in counts.items()) or "none yet")
    pending, rate, left = document["bytes"]["pending"], document["bytes"]["per_second"], document["eta_seconds"]
    if pending:
        yield f"  {formatting.size(pending)} to send, {formatting.size(rate)}/s" + (
            "" if left is None else f", {formatting.duration(left)} left"
        )
    if counts.get("failed"):
        yield "  why they failed: syncd ctl jobs --state failed; try again: syncd ctl retry --all"


def jobs(found: Sequence[Job], *, more: bool) -> Iterator[str]:
    """One line a job, the path last as it may be long; what is to be said of it below."""
    if not found:
        yield "no jobs"
        return
    rows = [
        (str(job["id"]), clean(job["state"]), clean(job["remote"]), _size(job), clean(job["path"])) for job in found
    ]
    width = [max(len(row[column]) for row in rows) for column in range(4)]
    for job, (number, state, remote, size, path) in zip(found, rows, strict=True):
        padded = _word(state) + " " * (width[1] - len(state))
        yield f"{number:>{width[0]}}  {padded}  {remote:<{width[2]}}  {size:>{width[3]}}  {path}"
        note = ", ".join(_notes(job))
        if note:
            yield " " * (width[0] + 2) + note
    if more:
        yield f"these are the latest {len(found)}; more: --limit, --state, --search"


def details(found: Sequence[JobDetail]) -> Iterator[str]:
    """All that is known of each job, a blank line between two."""
    for index, job in enumerate(found):
        if index:
            yield ""
        yield click.style(clean(job["path"]), bold=True)
        yield f"  job {job['id']} to {clean(job['remote'])}: {_word(job['state'])}"
        for note in _notes(job):
            yield f"  {note}"
        tried = f", tried {job['attempts']} times" if job["attempts"] > 1 else ""
        yield f"  {_size(job)}{tried}" + (f", on the server {clean(job['ref'])}" if job["ref"] else "")
        for day, steps in itertools.groupby(job["history"], key=lambda step: _local(step["at"])[:10]):
            yield f"  {day}"
            for step in steps:
                detail = f": {clean(step['detail'])}" if step["detail"] else ""
                yield f"    {_local(step['at'])[11:]}  {clean(step['cause'])} → {_word(step['state'])}{detail}"


def _notes(job: Job) -> Iterator[str]:
    if job["outcome"] == "duplicate":
        yield "the server had this content already"
    if job["detail"]:
        yield clean(job["detail"])
    if job["due_in_seconds"] is not None and job["state"] == "waiting":
        yield f"next try in {formatting.duration(max(0.0, job['due_in_seconds']))}"


def _size(job: Job) -> str:
    return "-" if job["size"] is None else formatting.size(job["size"])


def _local(instant: str) -> str:
    """Local time to the tenth of a second."""
    try:
        return datetime.fromisoformat(instant).astimezone().isoformat(sep=" ", timespec="milliseconds")[:21]
    except ValueError:
        return clean(instant)


def _word(state: str) -> str:
    return click.style(clean(state), fg=_COLOURS.get(state))
