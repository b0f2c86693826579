"""``syncd ctl``: asks the running daemon. Imports only what it needs, to answer at once."""

import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from syncd import __version__
from syncd.cli import formatting
from syncd.cli.ctl import view
from syncd.cli.errors import Exit, Fault, bad_config
from syncd.cli.options import config_option, examples, json_option
from syncd.cli.unreachable import explain
from syncd.config import discovery
from syncd.config.errors import ConfigError
from syncd.control.client import (
    RESTART_ADVICE,
    AccessDeniedError,
    ConnectionClosedError,
    ControlClient,
    NoResponseError,
    NotRunningError,
    RequestRefusedError,
)
from syncd.control.service import Job, JobQuery, LogQuery
from syncd.control.targets import Target
from syncd.core.states import State
from syncd.platform.lock import holder

PAGE = 1000
"""Jobs asked for at once."""
LEVELS = ("debug", "info", "warning", "error", "critical")
ENDING = 15.0
"""Seconds that a daemon may take to end."""


@click.group(
    epilog=examples(
        "syncd ctl status", "syncd ctl jobs --state failed", "syncd ctl show photos/cat.jpg", "syncd ctl retry --all"
    )
)
@config_option
@click.option("--socket", metavar="PATH", help="The daemon's control socket, instead of the configuration's.")
@click.pass_context
def command(ctx: click.Context, config: str | None, socket: str | None) -> None:
    """Talk to the running daemon."""
    ctx.obj = lambda: _daemon(config, socket)


class _Daemon(ControlClient):
    """The client, and what the machine knows of a daemon that does not answer."""

    def __init__(self, socket_path: str, state_dir: str | None) -> None:
        super().__init__(socket_path)
        self.state_dir = state_dir
        """None where only the socket is known."""

    def holder(self) -> int | None:
        """Return the pid of the process that holds the state folder; None if there is none, or it can't be told."""
        try:
            return None if self.state_dir is None else holder(self.state_dir)
        except OSError:
            return None


def _daemon(config: str | None, socket: str | None) -> _Daemon:
    if socket:
        return _Daemon(socket, None)
    try:
        path = discovery.find(config)
        return _Daemon(str(discovery.control_socket(path)), str(discovery.state_dir(path)))
    except ConfigError as error:
        raise bad_config(error) from None


def _asks(name: str) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a function a subcommand that gets a client first, and whose errors are put into words."""

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> int | None:
            client = click.get_current_context().obj()
            with _faults(client), _other_versions(client):
                return function(client, *args, **kwargs)

        return command.command(name)(run)

    return decorate


@contextmanager
def _other_versions(client: ControlClient) -> Iterator[None]:
    """Take an answer that lacks something for that of another version, where the daemon is of one."""
    try:
        yield
    except KeyError as missing:
        version = client.status()["version"]
        if version == __version__:
            raise
        what = f"the daemon's answer has no {missing}, as it is syncd {formatting.clean(version)}"
        raise Fault(f"{what}: {RESTART_ADVICE}", code=Exit.UNAVAILABLE) from None


@contextmanager
def _faults(client: _Daemon) -> Iterator[None]:
    try:
        yield
    except ConnectionClosedError as error:
        raise Fault(str(error), code=Exit.NOT_RUNNING) from None
    except NotRunningError as error:
        found = client.state_dir and explain(client.socket_path, client.state_dir)
        code = Exit.UNAVAILABLE if found and found.runs else Exit.NOT_RUNNING
        raise Fault(str(found or error), code=code) from None
    except AccessDeniedError as error:
        raise Fault(str(error), code=Exit.DENIED) from None
    except NoResponseError as error:
        raise Fault(str(error), code=Exit.UNAVAILABLE) from None
    except RequestRefusedError as error:
        if error.problems:
            raise Fault(str(error), *error.problems, code=Exit.BAD_CONFIG) from None
        raise Fault(formatting.clean(error), code=Exit.FAILED) from None


@_asks("status")
@json_option
def status(client: ControlClient, *, as_json: bool) -> None:
    """How it is going: folders, servers, what is left to do."""
    document = client.status()
    _print(document, as_json=as_json, lines=view.status(document))


@_asks("start")
def start(client: ControlClient) -> None:
    """Upload again after `stop`."""
    client.start()
    click.echo("uploading")


@_asks("stop")
@click.option("--now", is_flag=True, help="Cut the chunks in flight off; they are sent again later.")
def stop(client: ControlClient, *, now: bool) -> None:
    """Upload no more until `start`; watching and queueing go on."""
    client.stop(now=now)
    click.echo("stopped; new files are queued until: syncd ctl start")


@_asks("rescan")
@click.argument("path", required=False, type=click.UNPROCESSED)
def rescan(client: ControlClient, path: str | None) -> None:
    """Look through the folder that holds PATH, or through all."""
    client.rescan(None if path is None else os.path.abspath(path))
    click.echo("looking")


@_asks("jobs")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=JobQuery().limit, show_default=True, help="At most N.")
@click.option("--search", metavar="TEXT", help="Only those with TEXT in their path.")
@json_option
def jobs(client: ControlClient, *, state: str | None, limit: int, search: str | None, as_json: bool) -> None:
    """List jobs, latest change first; there is one for each file and server."""
    found: list[Job] = []
    cursor: str | None = None
    while len(found) < limit:
        page = client.jobs(
            JobQuery(
                state=State(state) if state else None,
                limit=min(PAGE, limit - len(found)),
                before=cursor,
                search=search,
            )
        )
        found += page["jobs"]
        cursor = page["next"]
        if cursor is None or not (page["jobs"] or page["partial"]):
            break
    _print({"jobs": found, "next": cursor}, as_json=as_json, lines=view.jobs(found, more=cursor is not None))


@_asks("watch")
def watch(client: ControlClient) -> None:
    """Look on: a live view on a terminal, elsewhere a line for each change. q or Ctrl-C ends it."""
    importlib.import_module("syncd.cli.ctl.watch").watch(client)  # what it needs takes a while to load


@_asks("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--level", type=click.Choice(LEVELS), default=LogQuery().level, help="Only this level and above.")
@click.option("--limit", type=click.IntRange(1, 2000), default=LogQuery().limit, show_default=True, help="The last N.")
@click.option("--event", metavar="NAME", default="", help="Only events whose name begins so, as job. does.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for scripts.")
def logs(client: ControlClient, *, follow: bool, level: str, limit: int, event: str, as_json: bool) -> None:
    """Show what the daemon logged last."""
    query = LogQuery(level=level, limit=limit, event=event)
    importlib.import_module("syncd.cli.ctl.logs").show(client, query, as_json=as_json, follow=follow)  # as above


@_asks("show")
@click.argument("target", metavar="PATH|ID", type=click.UNPROCESSED)
@json_option
def show(client: ControlClient, *, target: str, as_json: bool) -> None:
    """All that is known of a file or a job, with its history.

    A number is a job's ID; write ./17 for a file of that name.
    """
    found = client.show(_target(target))
    _print({"jobs": found}, as_json=as_json, lines=view.details(found))


@_asks("retry")
@click.argument("targets", metavar="[PATH|ID]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--all", "everything", is_flag=True, help="All that failed; so too where nothing is named.")
def retry(client: ControlClient, *, targets: Sequence[str], everything: bool) -> None:
    """Queue failed, skipped or waiting jobs again, to be tried at once."""
    if everything and targets:
        raise click.UsageError("name files and jobs, or say --all")
    number = client.retry([_target(text) for text in targets] or None)
    click.echo(f"{formatting.count(number, 'job')} queued again")


@_asks("cancel")
@click.argument("targets", metavar="PATH|ID...", nargs=-1, required=True, type=click.UNPROCESSED)
def cancel(client: ControlClient, *, targets: Sequence[str]) -> None:
    """Give jobs up, one that is uploading too; `retry` takes it back."""
    number = client.cancel([_target(text) for text in targets])
    click.echo(f"{formatting.count(number, 'job')} cancelled")


@_asks("reload")
def reload(client: ControlClient) -> None:
    """Have the daemon take over the configuration as it is now."""
    for line in client.reload() or ["nothing has changed"]:
        click.echo(formatting.clean(line))


@_asks("open")
@click.option("--print", "printed", is_flag=True, help="Print the address instead; it works once, within a minute.")
def open_dashboard(client: ControlClient, *, printed: bool) -> None:
    """Open the dashboard in the browser, and log it in."""
    url = client.dashboard()
    if printed:
        click.echo(url)
        click.echo("works once, within a minute", err=True)
    else:
        importlib.import_module("syncd.cli.ctl.open").show(url, client.socket_path)  # loads what only this needs
        click.echo("opened in the browser; if nothing appears there: syncd ctl open --print")


@_asks("shutdown")
def shutdown(client: _Daemon) -> int:
    """End the daemon, in order; returns when it has ended."""
    pid = client.holder()
    client.shutdown()
    deadline = time.monotonic() + ENDING
    while time.monotonic() < deadline:
        try:
            client.status()
        except (NotRunningError, NoResponseError):
            if pid is None or client.holder() != pid:
                click.echo("ended")
                return Exit.OK
        time.sleep(0.05)
    raise Fault(f"the daemon is still ending after {ENDING:g} s: see its log", code=Exit.FAILED)


def _target(text: str) -> Target:
    if text.isascii() and text.isdigit():
        return int(text)
    return os.path.abspath(text)


def _print(document: object, *, as_json: bool, lines: Iterator[str]) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in lines:
            click.echo(line)
