"""``syncd ctl watch``: shows the daemon's events until q or Ctrl-C, and reconnects after its restarts.

Two threads put the daemon's events and the user's quit key into one queue, because Windows cannot wait for a pipe and
the keyboard at the same time.
"""

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext, suppress
from enum import Enum
from queue import Empty, Queue
from typing import Any, Protocol

import click
from rich.live import Live

from syncd import localtime
from syncd.cli import terminal
from syncd.cli.ctl.watch_model import WatchModel
from syncd.cli.ctl.watch_view import view
from syncd.control.client import ControlClient, EventStream, NoResponseError, NotRunningError
from syncd.platform.terminal import unbuffered_keys

KINDS = ("daemon", "folder", "remote", "job", "progress")
REFRESH_INTERVAL_SECONDS = 1.0
"""Time between two attempts to reconnect, and the longest time between two draws."""
MIN_REFRESH_INTERVAL_SECONDS = 0.1
"""Shortest time between two draws."""
MAX_QUEUED_BATCHES = 16
"""Batches of events in the queue; the daemon drops events that this client reads too slowly, and reports it."""
DISCONNECTED_NOTE = "the daemon is not reachable; waiting for it"
QUIT_KEYS = frozenset("qQ\x03")
"""Keys that end the view; some systems deliver Ctrl-C as a key."""


class End(Enum):
    """Why the events end."""

    DISCONNECTED = "the daemon has closed the connection"
    QUIT = "the user has quit"


Events = Iterable[tuple[str, dict[str, Any]]]
EventQueue = Queue[Events | End]


class Display(Protocol):
    """Shows a model."""

    def render(self, model: WatchModel, lines: Sequence[str], note: str = "") -> float:
        """Show the changed model; ``lines`` are its changes, ``note`` is a problem with the connection.

        Returns the seconds after which to render again, even without a change.
        """


class LineDisplay:
    """Prints a line for each change, for pipes."""

    def render(self, model: WatchModel, lines: Sequence[str], note: str = "") -> float:  # noqa: ARG002 - protocol
        """Print ``lines`` and ``note`` with the time."""
        for line in [*lines, *([note] if note else [])]:
            click.echo(f"{localtime.now():%H:%M:%S} {line}")
        return REFRESH_INTERVAL_SECONDS


class ScreenDisplay:
    """Draws the complete model on a terminal."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn = float("-inf")

    def render(self, model: WatchModel, lines: Sequence[str], note: str = "") -> float:  # noqa: ARG002 - protocol
        """Draw the model, unless the last draw was too recent."""
        now = time.monotonic()
        if not note and now - self._drawn < MIN_REFRESH_INTERVAL_SECONDS:
            return MIN_REFRESH_INTERVAL_SECONDS
        self._drawn = now
        width, height = self._live.console.size
        self._live.update(view(model, width=width, height=height, note=note), refresh=True)
        return REFRESH_INTERVAL_SECONDS


def watch(client: ControlClient) -> None:
    """Show the daemon's events. Raises :class:`NotRunningError` if the daemon does not run at the start."""
    stream: EventStream | None = client.listen(*KINDS)
    console = terminal.console()
    live = Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else None
    display: Display = ScreenDisplay(live) if live else LineDisplay()
    queue: EventQueue = Queue(MAX_QUEUED_BATCHES)
    try:
        with live or nullcontext(), _keyboard() as read_key:
            if read_key:
                _in_thread(_wait_for_quit_key, read_key, queue)
            while True:
                if stream is not None:
                    with stream:
                        _in_thread(_queue_events, stream, queue)
                        if _follow(queue, display) is End.QUIT:
                            return
                    display.render(WatchModel(), [], DISCONNECTED_NOTE)
                elif _next(queue, REFRESH_INTERVAL_SECONDS) is End.QUIT:
                    return
                stream = _reconnect(client)
    except KeyboardInterrupt:
        return


def _reconnect(client: ControlClient) -> EventStream | None:
    try:
        return client.listen(*KINDS)
    except (NotRunningError, NoResponseError):
        return None


def _follow(queue: EventQueue, display: Display) -> End:
    """Show events until the daemon disconnects or the user quits."""
    model, timeout = WatchModel(), REFRESH_INTERVAL_SECONDS
    while not isinstance(came := _next(queue, timeout), End):
        lines = [line for kind, document in came for line in model.apply(kind, document)]
        timeout = display.render(model, lines)
    return came


def _next(queue: EventQueue, timeout: float) -> Events | End:
    """Return the next batch of events or the end; no events after ``timeout`` seconds."""
    try:
        return queue.get(timeout=timeout)
    except Empty:
        return ()


def _in_thread(function: Callable[..., None], *arguments: object) -> None:
    """Call a blocking function in a daemon thread."""
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _queue_events(stream: EventStream, queue: EventQueue) -> None:
    while (events := stream.receive()) is not None:
        queue.put(events)
    queue.put(End.DISCONNECTED)


def _wait_for_quit_key(read_key: Callable[[], str], queue: EventQueue) -> None:
    with suppress(OSError):
        while (pressed := read_key()) and not QUIT_KEYS & set(pressed):
            pass
    queue.put(End.QUIT)


@contextmanager
def _keyboard() -> Generator[Callable[[], str] | None]:
    """Yield a function that waits for a key press and returns it; None without a terminal."""
    if not sys.stdin.isatty():
        yield None
    else:
        with unbuffered_keys() as read_key:
            yield read_key
