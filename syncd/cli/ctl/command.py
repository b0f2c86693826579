"""``syncd ctl``: controls the running daemon through its control API.

``ctl.view`` formats the answers. This module imports little, so that each command starts fast.
"""

import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import click

from syncd import localtime
from syncd.cli import formatting, narrow
from syncd.cli.ctl import attention, job_options, pause_end, view
from syncd.cli.daemon_client import DaemonClient, daemon_client, translate_errors
from syncd.cli.errors import CommandError, ExitCode
from syncd.cli.options import config_option, examples, json_option
from syncd.control.client import ControlClient, NoResponseError, NotRunningError
from syncd.control.schemas import Job
from syncd.control.service import JobQuery, LogQuery
from syncd.core.log_levels import LEVELS
from syncd.core.model import Sort
from syncd.core.states import Cause, State, sources

JOBS_PER_PAGE = 1000
"""Most jobs in one request."""
SHUTDOWN_TIMEOUT_SECONDS = 15.0
"""Longest wait for the daemon to end."""


ALIASES = {"pause": "stop", "resume": "start", "log": "logs"}
"""Other names of subcommands, which the help does not list."""


class _AliasGroup(click.Group):
    """A group that accepts :data:`ALIASES`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))


@click.group(
    cls=_AliasGroup,
    epilog=examples(
        "syncd ctl status", "syncd ctl jobs --state failed", "syncd ctl show photos/cat.jpg", "syncd ctl retry --all"
    ),
)
@config_option
@click.option("--socket", metavar="PATH", help="The daemon's control socket. Default: that of the configuration.")
@click.pass_context
def command(ctx: click.Context, config: str | None, socket: str | None) -> None:
    """Control the running daemon."""
    ctx.obj = lambda: daemon_client(config, socket)


def _daemon_command(name: str) -> Callable[[Callable[..., int | None]], click.Command]:
    """Register a function as the subcommand ``name``.

    The function gets a client as its first argument. Errors of the client are raised as :class:`CommandError`.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> int | None:
            client = click.get_current_context().obj()
            with translate_errors(client):
                return function(client, *args, **kwargs)

        return command.command(name)(run)

    return decorate


@_daemon_command("status")
@json_option
@click.option("--check", is_flag=True, help="Print one line for a monitoring program; exit with 0, 1, 2 or 3.")
def status(client: DaemonClient, *, as_json: bool, check: bool) -> int:
    """Show what needs attention, and the state of folders, remotes and jobs."""
    if check:
        return _check(client)
    document = client.status()
    _print(document, as_json=as_json, lines=view.status(document))
    return ExitCode.OK


def _check(client: DaemonClient) -> int:
    try:
        with translate_errors(client):
            code, line = attention.check_line(client.status())
    except CommandError as error:
        code, line = attention.unreachable_line(str(error), running=error.code != ExitCode.NOT_RUNNING)
    click.echo(line)
    return code


@_daemon_command("start")
def start(client: ControlClient) -> None:
    """Resume uploading after `stop`."""
    client.start()
    click.echo("uploading")


@_daemon_command("stop")
@click.option("--now", is_flag=True, help="Abort the chunks being sent; they are sent again later.")
@click.option("--for", "duration", metavar="TIME", help="Resume after this time, such as 2h.")
@click.option("--until", "clock_time", metavar="TIME", help="Resume at this local time, such as 07:00.")
def stop(client: ControlClient, *, now: bool, duration: str | None, clock_time: str | None) -> None:
    """Stop uploading until `start`, or for a time.

    The daemon still watches the folders and queues files.
    """
    if duration is not None and clock_time is not None:
        raise click.UsageError("--for cannot be combined with --until")
    started = localtime.now()
    until = None
    if duration is not None:
        until = pause_end.after(duration, started)
    elif clock_time is not None:
        until = pause_end.next_occurrence(clock_time, started)
    client.stop(now=now, until=until)
    end = "" if until is None else f" until {localtime.minute(until, started)}"
    click.echo(f"stopped{end}; new files are queued; resume{' earlier' if end else ''} with: syncd ctl start")


@_daemon_command("rescan")
@click.argument("path", required=False, type=click.UNPROCESSED)
def rescan(client: ControlClient, path: str | None) -> None:
    """Scan the watched folder that contains PATH, or all folders."""
    client.rescan(None if path is None else os.path.abspath(path))
    click.echo("scanning")


@_daemon_command("jobs")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only jobs in this state.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=JobQuery().limit,
    show_default=True,
    help="At most N jobs.",
)
@click.option("--search", metavar="TEXT", help="Only jobs whose path contains TEXT.")
@click.option("--folder", metavar="NAME", help="Only jobs of this watched folder: its path, or the end of it.")
@click.option("--remote", metavar="NAME", help="Only jobs to this remote.")
@click.option(
    "--sort", type=click.Choice([sort.value for sort in Sort]), default=JobQuery().sort.value, help="The order."
)
@json_option
def jobs(
    client: ControlClient, *, state: str | None, folder: str | None, sort: str, as_json: bool, **query: Any
) -> None:
    """List jobs, latest change first; there is one job per file and remote."""
    wanted = JobQuery(
        state=State(state) if state else None,
        folder=None if folder is None else job_options.watched_folder(client, folder),
        sort=Sort(sort),
        **query,
    )
    # Both requests read the jobs of one moment. The first also works with daemons that lack the second.
    page = client.jobs(wanted) if wanted.limit <= JOBS_PER_PAGE else client.job_snapshot(wanted)
    found: Sequence[Job] = page["jobs"]
    more = page["next"]
    _print({"jobs": found, "next": more}, as_json=as_json, lines=view.jobs(found, more=more is not None))


@_daemon_command("watch")
def watch(client: ControlClient) -> None:
    """Show a live view on a terminal, or print a line per change elsewhere.

    q or Ctrl-C ends the view.
    """
    importlib.import_module("syncd.cli.ctl.watch").watch(client)  # slow to import


@_daemon_command("wait")
@click.option("--timeout", metavar="TIME", help="Give up after this time, such as 30s; exit code 124.")
def wait(client: ControlClient, *, timeout: str | None) -> None:
    """Wait until every upload has ended, or until a problem needs a person."""
    module = importlib.import_module("syncd.cli.ctl.wait")
    click.echo(module.wait(client, None if timeout is None else module.parse_timeout(timeout)))


@_daemon_command("logs")
@click.option("-f", "--follow", is_flag=True, help="Print new events until Ctrl-C.")
@click.option("--level", type=click.Choice(LEVELS), default=LogQuery().level, help="Only this level and above.")
@click.option(
    "--limit",
    type=click.IntRange(1, 2000),
    default=LogQuery().limit,
    show_default=True,
    help="At most N.",
)
@click.option("--event", metavar="NAME", default="", help="Only events whose name starts with NAME, such as job.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for scripts.")
def logs(client: ControlClient, *, follow: bool, level: str, limit: int, event: str, as_json: bool) -> None:
    """Print the latest log events of the daemon."""
    query = LogQuery(level=level, limit=limit, event=event)
    importlib.import_module("syncd.cli.ctl.logs").show(client, query, as_json=as_json, follow=follow)


@_daemon_command("show")
@click.argument("target", metavar="PATH|ID", type=click.UNPROCESSED)
@json_option
def show(client: ControlClient, *, target: str, as_json: bool) -> None:
    """Show everything about the jobs of a file, or about one job, with its history.

    A number is a job ID; write ./17 for a file with that name.
    """
    found = client.show(job_options.target(target))
    _print({"jobs": found}, as_json=as_json, lines=view.history(found))


@_daemon_command("retry")
@click.argument("targets", metavar="[PATH|ID]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--all", "everything", is_flag=True, help="All failed jobs; the default without PATH or ID.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in sources(Cause.RETRIED)]),
    help="Only, or all, jobs in this state.",
)
def retry(client: ControlClient, *, targets: Sequence[str], everything: bool, state: str | None) -> None:
    """Queue failed, skipped or waiting jobs again, due at once.

    A folder stands for all files below it.
    """
    if everything and targets:
        raise click.UsageError("--all cannot be combined with PATH or ID")
    chosen = [job_options.target(text) for text in targets] or None
    number = client.retry(chosen, State(state) if state else None)
    click.echo(f"{formatting.count(number, 'job')} queued again")


@_daemon_command("cancel")
@click.argument("targets", metavar="PATH|ID...", nargs=-1, type=click.UNPROCESSED)
@click.option("--all", "everything", is_flag=True, help="All queued, uploading and waiting jobs.")
@click.option("--yes", is_flag=True, help="With --all, do not ask for confirmation.")
def cancel(client: ControlClient, *, targets: Sequence[str], everything: bool, yes: bool) -> int:
    """Cancel jobs, even while they upload; `retry` queues them again."""
    if everything == bool(targets):
        raise click.UsageError("name a PATH or an ID, or use --all" + (" without a PATH or an ID" if targets else ""))
    if everything and not yes and not job_options.confirm_cancel_all(client):
        click.echo("nothing was cancelled")
        return ExitCode.FAILED
    number = client.cancel([job_options.target(text) for text in targets] or None)
    click.echo(f"{formatting.count(number, 'job')} cancelled")
    return ExitCode.OK


@_daemon_command("reload")
def reload(client: ControlClient) -> None:
    """Reload the configuration of the daemon."""
    for line in client.reload() or ["no changes"]:
        click.echo(formatting.clean(line))


@_daemon_command("open")
@click.option("--print", "printed", is_flag=True, help="Print the address instead; it works once within a minute.")
def open_dashboard(client: ControlClient, *, printed: bool) -> None:
    """Open the dashboard in the browser, logged in."""
    url = client.dashboard()
    if printed:
        click.echo(url)
        click.echo("this address works once within a minute", err=True)
    else:
        importlib.import_module("syncd.cli.ctl.open").show(url, client.socket_path)
        click.echo("opened in the browser; if it shows nothing, run: syncd ctl open --print")


@_daemon_command("shutdown")
def shutdown(client: DaemonClient) -> int:
    """Shut down the daemon and wait until it has ended."""
    pid = client.lock_holder()
    client.shutdown()
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            client.status()
        except (NotRunningError, NoResponseError):
            if pid is None or client.lock_holder() != pid:
                click.echo("ended")
                return ExitCode.OK
        time.sleep(0.05)
    raise CommandError(
        f"the daemon is still running {SHUTDOWN_TIMEOUT_SECONDS:g} s after the request; see its log",
        code=ExitCode.FAILED,
    )


def _print(document: object, *, as_json: bool, lines: Iterator[str]) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in narrow.fold_all(lines):
            click.echo(line)
