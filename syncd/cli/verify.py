"""``syncd verify``: compares what the servers have with what was uploaded."""

import asyncio
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import click

from syncd.cli import words
from syncd.cli.configuration import load
from syncd.cli.faults import Exit
from syncd.cli.options import config_option, examples, json_option, paths_argument
from syncd.cli.showing import showing, shown
from syncd.cli.where import places_of
from syncd.daemon.verify import Problem, Report, Verdict, repair, verify


class _Share(click.ParamType[float]):
    """A share as ``5%``; above 0 and up to 1 when converted."""

    name = "share"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        try:
            share = float(str(value).removesuffix("%")) / 100
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value}: write a share from above 0% to 100%, as 5%", param, ctx)
        return share


@click.command(epilog=examples("syncd verify", "syncd verify --sample 5%", "syncd verify --repair inbox/2026"))
@config_option
@paths_argument
@json_option
@click.option("--sample", metavar="SHARE", type=_Share(), default="100%", help="Only a random share of all, as 5%.")
@click.option("--repair", "mend", is_flag=True, help="Queue again what is missing or different.")
def command(config: str | None, paths: Sequence[str], *, as_json: bool, sample: float, mend: bool) -> int:
    """Fetch what was uploaded back from the servers, and compare it with the record.

    Only files at or below PATH, or all. Nothing is written, so a daemon may run meanwhile; with --repair it must not.
    Ends with 0 when all is whole, 1 when something is not, 69 when a server could not be asked.
    """
    loaded = load(config)
    places = places_of(loaded, paths)
    queued = 0
    with showing(loaded, hold=mend) as show:
        report = asyncio.run(verify(loaded.config, places, sample=sample, on_progress=shown(show)))
        if mend and report.bad:
            queued = asyncio.run(repair(loaded.config, report.bad))
    if as_json:
        click.echo(json.dumps(_document(report, queued), ensure_ascii=False))
    else:
        for line in _told(report, queued, mend=mend):
            click.echo(line)
    if report.missing or report.different:
        return Exit.FAILED
    return Exit.UNAVAILABLE if report.unreachable else Exit.OK


def _document(report: Report, queued: int) -> dict[str, object]:
    ok = not (report.missing or report.different or report.unreachable)
    document = {"ok": ok, "queued": queued, **dataclasses.asdict(report)}
    del document["bad"]
    return document


def _told(report: Report, queued: int, *, mend: bool) -> Iterator[str]:
    counts = [(getattr(report, verdict.value), verdict.value) for verdict in Verdict]
    numbers = ", ".join(f"{number:,} {word}" for number, word in counts if number) or "nothing was uploaded yet"
    fetched = f"; {words.size(report.fetched)} fetched in {words.duration(report.seconds)}" if report.fetched else ""
    yield numbers + fetched
    for problem in report.problems:
        yield words.clean(
            f"{os.path.join(problem.folder, problem.path)} on {problem.remote} {problem.state}: {problem.detail}"
        ) + (_fate(problem) if mend else "")
    for name, reason in report.down.items():
        yield words.clean(f"server {name} is out of reach: {reason}")
    if queued:
        yield f"{words.count(queued, 'job')} queued again; to upload: syncd once, or syncd run"


def _fate(problem: Problem) -> str:
    if problem.state == Verdict.UNREACHABLE:
        return ""
    return "" if problem.present else "; it can't be uploaded again, as the file is not here any more"
