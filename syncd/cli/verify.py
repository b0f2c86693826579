"""``syncd verify``: compares what the servers have with what was uploaded."""

import asyncio
import dataclasses
import json
from collections.abc import Iterator, Sequence

import click

from syncd.cli import formatting
from syncd.cli.configuration import load
from syncd.cli.errors import Exit, Fault
from syncd.cli.options import config_option, examples, json_option, paths_argument
from syncd.cli.showing import showing, shown
from syncd.cli.where import places_of
from syncd.config.load import Loaded
from syncd.control.client import ControlClient, ControlError
from syncd.paths import full
from syncd.recovery.verify import Problem, Report, Verdict, repair, verify

PART = 20
"""Jobs that the daemon is asked to look at together."""
PATIENCE = 600.0
"""Seconds that it may take for them."""


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

    Only files at or below PATH, or all. A daemon may run meanwhile; with --repair it looks again and queues.
    Ends with 0 when all copies are intact, 1 when a copy is not, 69 when a server could not be asked.
    """
    loaded = load(config)
    places = places_of(loaded, paths)
    queued = 0
    daemon = _running(loaded) if mend else None
    with showing(loaded, hold=mend and daemon is None) as show:
        report = asyncio.run(verify(loaded.config, places, sample=sample, on_progress=shown(show)))
        if mend and report.bad:
            queued = _hand_over(daemon, report.bad) if daemon else asyncio.run(repair(loaded.config, report.bad))
    if as_json:
        click.echo(json.dumps(_document(report, queued), ensure_ascii=False))
    else:
        for line in _told(report, queued, mend=mend):
            click.echo(line)
    if report.missing or report.different:
        return Exit.FAILED
    return Exit.UNAVAILABLE if report.unreachable else Exit.OK


def _running(loaded: Loaded) -> ControlClient | None:
    """Return the way to the daemon, if one runs: it holds the store, so it is who queues."""
    client = ControlClient(loaded.config.control.socket, timeout=PATIENCE)
    try:
        client.status()
    except ControlError:
        return None  # whoever holds the state folder all the same is told of by the lock
    return client


def _hand_over(daemon: ControlClient, bad: Sequence[int]) -> int:
    """Have the daemon look at the bad ones again and queue them; return how many."""
    try:
        return sum(
            daemon.verify(bad[start : start + PART], repair=True)["queued"] for start in range(0, len(bad), PART)
        )
    except ControlError as error:
        raise Fault(formatting.clean(error), code=Exit.UNAVAILABLE) from None


def _document(report: Report, queued: int) -> dict[str, object]:
    ok = not (report.missing or report.different or report.unreachable)
    document = {"ok": ok, "queued": queued, **dataclasses.asdict(report)}
    del document["bad"]
    return document


def _told(report: Report, queued: int, *, mend: bool) -> Iterator[str]:
    counts = [(getattr(report, verdict.value), verdict.value) for verdict in Verdict]
    numbers = ", ".join(f"{number:,} {word}" for number, word in counts if number) or "nothing was uploaded yet"
    fetched = (
        f"; {formatting.size(report.fetched)} fetched in {formatting.duration(report.seconds)}"
        if report.fetched
        else ""
    )
    yield numbers + fetched
    for problem in report.problems:
        yield formatting.clean(
            f"{full(problem.folder, problem.path)} on {problem.remote} {problem.state}: {problem.detail}"
        ) + (_fate(problem) if mend else "")
    for name, reason in report.down.items():
        yield formatting.clean(f"server {name} is out of reach: {reason}")
    if queued:
        jobs = formatting.count(queued, "job")
        yield f"{jobs} queued again; the daemon uploads them, or else syncd once or syncd run"


def _fate(problem: Problem) -> str:
    if problem.state == Verdict.UNREACHABLE:
        return ""
    return "" if problem.present else "; it can't be uploaded again, as the file is not here any more"
