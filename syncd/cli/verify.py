"""``syncd verify``: compares the servers' copies with the record of the uploads.

``recovery.verify`` does the work; with ``--repair``, a running daemon queues the bad files.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence

import click

from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import config_option, examples, json_option, paths_argument
from syncd.cli.progress import progress_display
from syncd.cli.state_folder import load_config, watched_paths
from syncd.config.load import Loaded
from syncd.control.client import ControlClient, ControlError
from syncd.paths import full
from syncd.platform import event_loop
from syncd.recovery.verify import Problem, Report, Verdict, repair, verify

JOBS_PER_REQUEST = 20
"""Most jobs in one request to the daemon."""
REQUEST_TIMEOUT_SECONDS = 600.0
"""Longest time for one such request, in which the daemon downloads the copies."""


class _Percentage(click.ParamType[float]):
    """A percentage such as ``5%``, converted to a number above 0 and up to 1."""

    name = "share"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the percentage as a number."""
        try:
            share = float(str(value).removesuffix("%")) / 100
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value}: give a percentage above 0% and up to 100%, such as 5%", param, ctx)
        return share


@click.command(epilog=examples("syncd verify", "syncd verify --sample 5%", "syncd verify --repair inbox/2026"))
@config_option
@paths_argument
@json_option
@click.option(
    "--sample",
    metavar="SHARE",
    type=_Percentage(),
    default="100%",
    help="Verify a random share only, such as 5%.",
)
@click.option("--repair", "with_repair", is_flag=True, help="Requeue files whose copy is missing or different.")
def command(config: str | None, paths: Sequence[str], *, as_json: bool, sample: float, with_repair: bool) -> int:
    """Download the uploaded files and compare them with the record of the uploads.

    Verifies the files at or below PATH, or all files. A daemon may run at the same time; with --repair, it verifies
    each bad copy again and queues its file. Exit code 0: every copy is intact; 1: some are not; 69: a server is
    unreachable.
    """
    loaded = load_config(config)
    scopes = watched_paths(loaded, paths)
    queued = 0
    daemon = _running_daemon(loaded) if with_repair else None
    with progress_display(loaded, lock=with_repair and daemon is None) as show:
        report = event_loop.run(verify(loaded.config, scopes, sample=sample, on_progress=show))
        if with_repair and report.bad:
            bad = report.bad
            queued = _repair_by_daemon(daemon, bad) if daemon else event_loop.run(repair(loaded.config, bad))
    if as_json:
        click.echo(json.dumps(_document(report, queued), ensure_ascii=False))
    else:
        for line in _summary_lines(report, queued, with_repair=with_repair):
            click.echo(line)
    if report.missing or report.different:
        return ExitCode.FAILED
    return ExitCode.UNAVAILABLE if report.unreachable else ExitCode.OK


def _running_daemon(loaded: Loaded) -> ControlClient | None:
    """Return a client of the running daemon, None without one.

    The daemon has locked the job store, so only the daemon can queue the files.
    """
    client = ControlClient(loaded.config.control.socket, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        client.status()
    except ControlError:
        return None  # if another process has locked the state folder, open_locked reports it
    return client


def _repair_by_daemon(daemon: ControlClient, bad: Sequence[int]) -> int:
    """Ask the daemon to verify the bad jobs again and queue their files.

    Returns the number of queued jobs. Raises :class:`CommandError` if the daemon does not answer.
    """
    try:
        return sum(
            daemon.verify(bad[start : start + JOBS_PER_REQUEST], repair=True)["queued"]
            for start in range(0, len(bad), JOBS_PER_REQUEST)
        )
    except ControlError as error:
        raise CommandError(formatting.clean(error), code=ExitCode.UNAVAILABLE) from None


def _document(report: Report, queued: int) -> dict[str, object]:
    ok = not (report.missing or report.different or report.unreachable)
    document = {"ok": ok, "queued": queued, **dataclasses.asdict(report)}
    del document["bad"]
    return document


def _summary_lines(report: Report, queued: int, *, with_repair: bool) -> Iterator[str]:
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
        ) + (_repair_note(problem) if with_repair else "")
    for name, reason in report.down.items():
        yield formatting.clean(f"remote {name} is unreachable: {reason}")
    if queued:
        jobs = formatting.count(queued, "job")
        yield f"{jobs} queued again; the daemon uploads them, or run: syncd once"


def _repair_note(problem: Problem) -> str:
    if problem.state == Verdict.UNREACHABLE:
        return ""
    return "" if problem.present else "; cannot be uploaded again, because the file is gone"
