"""``syncd ctl logs``: prints the daemon's log events in the daemon's log format."""

from collections.abc import Callable, Iterator
from datetime import datetime

import click

from syncd.cli import formatting, narrow
from syncd.control.client import ConnectionClosedError, ControlClient
from syncd.control.schemas import LogEvent
from syncd.control.service import LogQuery
from syncd.core.log_levels import LEVELS
from syncd.logs.format import render_console, render_json


def show(client: ControlClient, query: LogQuery, *, as_json: bool, follow: bool) -> None:
    """Print the latest events that match ``query``; with ``follow``, new ones too.

    Raises :class:`ConnectionClosedError` when the daemon ends while following.
    """
    # click removes the colours in a pipe.
    format_line = _line_formatter(render_json if as_json else _render_folded)
    if not follow:
        for event in client.log(query):
            click.echo(format_line(event))
        return
    for event in _follow(client, query):
        click.echo(format_line(event))


def _follow(client: ControlClient, query: LogQuery) -> Iterator[LogEvent]:
    """Yield past and new events, each once.

    The stream opens first, so an event that occurs during the request for past events arrives twice.
    """
    with client.listen("log") as stream:
        past = client.log(query)
        yield from past
        while (events := stream.receive()) is not None:
            for kind, event in events:
                if kind == "lost":
                    lost = formatting.count(event["count"], "line")
                    click.echo(f"syncd: {lost} lost here, because this client read too slowly", err=True)
                elif event not in past and _matches(event, query):
                    yield event
    raise ConnectionClosedError("the daemon has ended or closed the connection")


def _matches(event: LogEvent, query: LogQuery) -> bool:
    return LEVELS[event["level"]] >= LEVELS[query.level] and str(event["event"]).startswith(query.event)


def _render_folded(event: LogEvent) -> str:
    return "\n".join(narrow.fold(render_console(colours=True)(event)))


def _line_formatter(render: Callable[[LogEvent], str]) -> Callable[[LogEvent], str]:
    return lambda event: render({**event, "timestamp": datetime.fromisoformat(event["timestamp"])})
