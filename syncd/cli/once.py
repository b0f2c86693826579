"""``syncd once``: a single pass, for cron and for people who look on."""

import asyncio
import dataclasses
import json
import os
from collections.abc import Iterator

import click

from syncd.cli import formatting
from syncd.cli.configuration import load
from syncd.cli.errors import Exit
from syncd.cli.options import config_option, examples, json_option
from syncd.cli.progress import Flight, View
from syncd.cli.showing import showing
from syncd.config.load import Loaded
from syncd.core.text import printable
from syncd.daemon.once import Snapshot, Summary, once
from syncd.paths import full


@click.command(epilog=examples("syncd once", "syncd once --json -c photos.yaml"))
@config_option
@json_option
def command(config: str | None, *, as_json: bool) -> int:
    """Look through the folders, upload all that is due, and end.

    On a terminal it shows a progress bar; elsewhere it logs to standard error. Ends with 0 when all has arrived and
    with 1 when something has not.
    """
    loaded = load(config)
    summary = _run(loaded)
    if as_json:
        click.echo(json.dumps({"ok": _is_fine(summary), **dataclasses.asdict(summary)}, ensure_ascii=False))
    else:
        for line in _told(summary):
            click.echo(line)
    return Exit.OK if _is_fine(summary) else Exit.FAILED


def _run(loaded: Loaded) -> Summary:
    with showing(loaded, hold=True) as show:
        tell = None if show is None else lambda snapshot: show(_view(snapshot))
        return asyncio.run(once(loaded.config, on_progress=tell))


def _view(snapshot: Snapshot) -> View:
    return View(
        done=snapshot.files_done,
        left=snapshot.files_left,
        failed=snapshot.files_failed,
        pending=snapshot.pending,
        per_second=snapshot.per_second,
        scanning=snapshot.scanning,
        flights=[
            Flight(
                name=printable(os.path.basename(progress.job.path)),
                remote=progress.stage,
                size=progress.job.size,
                sent=progress.sent,
            )
            for progress in snapshot.in_flight
        ],
    )


def _is_fine(summary: Summary) -> bool:
    return not summary.failed and not summary.left and not summary.unreachable


def _told(summary: Summary) -> Iterator[str]:
    done = [
        (summary.uploaded, "uploaded"),
        (summary.duplicate, "there already"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
        (summary.left, "left for the next time"),
    ]
    numbers = ", ".join(f"{number:,} {word}" for number, word in done if number) or "nothing to do"
    yield numbers + (
        f"; {formatting.size(summary.sent)} sent in {formatting.duration(summary.seconds)}" if summary.sent else ""
    )
    for problem in summary.problems:
        detail = f": {problem.detail}" if problem.detail else ""
        yield formatting.clean(f"{full(problem.folder, problem.path)} to {problem.remote} {problem.state}{detail}")
    for name in summary.unreachable:
        yield f"server {formatting.clean(name)} is out of reach: syncd check"
