"""``syncd ctl logs``: the daemon's last log lines, and with ``-f`` those to come, as the daemon itself writes them."""

from collections.abc import Callable, Iterator
from datetime import datetime

import click

from syncd.control.client import ConnectionClosedError, ControlClient
from syncd.control.service import LogEvent, LogQuery
from syncd.logs import LEVELS
from syncd.logs.format import render_console, render_json


def show(client: ControlClient, query: LogQuery, *, as_json: bool, follow: bool) -> None:
    """Print what ``query`` asks for; with ``follow`` go on until the daemon ends: :class:`ConnectionClosedError`."""
    line = _line(render_json if as_json else render_console(colours=True))  # click takes the colours out of a pipe
    if not follow:
        for event in client.log(query):
            click.echo(line(event))
        return
    for event in _following(client, query):
        click.echo(line(event))


def _following(client: ControlClient, query: LogQuery) -> Iterator[LogEvent]:
    """Return what was and what comes, each once: what happens while the past is asked for is in both."""
    with client.listen("log") as stream:
        past = client.log(query)
        yield from past
        while (events := stream.receive()) is not None:
            for kind, event in events:
                if kind == "lost":
                    click.echo(f"syncd: {event['count']} lines are missing here: they came too fast", err=True)
                elif event not in past and _wanted(event, query):
                    yield event
    raise ConnectionClosedError("the daemon has ended, or hung up")


def _wanted(event: LogEvent, query: LogQuery) -> bool:
    return LEVELS[event["level"]] >= LEVELS[query.level] and str(event["event"]).startswith(query.event)


def _line(render: Callable[[LogEvent], str]) -> Callable[[LogEvent], str]:
    return lambda event: render({**event, "timestamp": datetime.fromisoformat(event["timestamp"])})
