"""``syncd restore``: brings back what was uploaded."""

import asyncio
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import click

from syncd.cli import formatting
from syncd.cli.configuration import load
from syncd.cli.errors import Exit, Fault
from syncd.cli.options import config_option, examples, json_option, paths_argument
from syncd.cli.showing import showing, shown
from syncd.cli.where import places_of
from syncd.paths import full
from syncd.recovery.restore import Report, restore
from syncd.recovery.target import TargetInUseError


@click.command(epilog=examples("syncd restore --to back", "syncd restore --to back inbox/2026"))
@config_option
@paths_argument
@click.option("--to", "target", metavar="DIR", required=True, type=click.UNPROCESSED, help="Where the files go.")
@json_option
def command(config: str | None, paths: Sequence[str], target: str, *, as_json: bool) -> int:
    """Fetch what was uploaded back, under its own names and with its own times, into DIR.

    Only files at or below PATH, or all. With several watched folders each gets a folder of its name in DIR. No file is
    ever overwritten: the same one counts as there, another one is told. Run it again after an interruption. Ends with 0
    when all is there, 1 when something is not, 69 when a server could not be asked.
    """
    loaded = load(config)
    places = places_of(loaded, paths)
    try:
        with showing(loaded, hold=False) as show:
            report = asyncio.run(restore(loaded.config, places, os.path.abspath(target), on_progress=shown(show)))
    except TargetInUseError as error:
        raise Fault(str(error), code=Exit.BUSY) from None
    if as_json:
        ok = not (report.failed or report.unreachable)
        click.echo(json.dumps({"ok": ok, **dataclasses.asdict(report)}, ensure_ascii=False))
    else:
        for line in _told(report):
            click.echo(line)
    if report.failed:
        return Exit.FAILED
    return Exit.UNAVAILABLE if report.unreachable else Exit.OK


def _told(report: Report) -> Iterator[str]:
    done = [
        (report.restored, "restored"),
        (report.there, "there already"),
        (report.failed, "failed"),
        (report.unreachable, "unreachable"),
    ]
    numbers = ", ".join(f"{number:,} {word}" for number, word in done if number) or "nothing was uploaded yet"
    fetched = (
        f"; {formatting.size(report.fetched)} fetched in {formatting.duration(report.seconds)}"
        if report.fetched
        else ""
    )
    yield numbers + fetched
    for problem in report.problems:
        yield formatting.clean(f"{full(problem.folder, problem.path)} {problem.state}: {problem.detail}")
    if report.not_uploaded:
        yield f"{formatting.count(report.not_uploaded, 'file')} not on any server yet as last seen here"
