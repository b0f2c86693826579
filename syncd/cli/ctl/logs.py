"""``syncd ctl logs``: prints the daemon's latest log events, and new ones with ``-f``, in the daemon's log format."""

from collections.abc import Callable, Iterator
from datetime import datetime

import click

from syncd.control.client import ConnectionClosedError, ControlClient
from syncd.control.schemas import LogEvent
from syncd.control.service import LogQuery
from syncd.core.log_levels import LEVELS
from syncd.logs.format import render_console, render_json


def show(client: ControlClient, query: LogQuery, *, as_json: bool, follow: bool) -> None:
    """Print the events that match ``query``; with ``follow`` also new ones.

    Raises :class:`ConnectionClosedError` when the daemon ends while following.
    """
    line = _line(render_json if as_json else render_console(colours=True))  # click removes the colours in a pipe
    if not follow:
        for event in client.log(query):
            click.echo(line(event))
        return
    for event in _following(client, query):
        click.echo(line(event))


def _following(client: ControlClient, query: LogQuery) -> Iterator[LogEvent]:
    """Yield past and new events, each once: an event during the request for past ones is in both."""
    with client.listen("log") as stream:
        past = client.log(query)
        yield from past
        while (events := stream.receive()) is not None:
            for kind, event in events:
                if kind == "lost":
                    click.echo(f"syncd: {event['count']} lines are missing here: there were too many to send", err=True)
                elif event not in past and _matches(event, query):
                    yield event
    raise ConnectionClosedError("the daemon has ended or closed the connection")


def _matches(event: LogEvent, query: LogQuery) -> bool:
    return LEVELS[event["level"]] >= LEVELS[query.level] and str(event["event"]).startswith(query.event)


def _line(render: Callable[[LogEvent], str]) -> Callable[[LogEvent], str]:
    return lambda event: render({**event, "timestamp": datetime.fromisoformat(event["timestamp"])})
