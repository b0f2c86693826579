"""``syncd ctl watch``: shows the daemon's state live until q or Ctrl-C.

``watch_model`` holds the state, and ``watch_view`` draws it. The command reconnects after a restart of the daemon. Two
threads put the daemon's events and the quit key into one queue, because Windows cannot wait for a pipe and the keyboard
at the same time.
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
"""Time between two connection attempts, and longest time between two draws."""
MIN_REFRESH_INTERVAL_SECONDS = 0.1
"""Shortest time between two draws."""
MAX_QUEUED_BATCHES = 16
"""Most batches of events in the queue; the daemon drops, and reports, events that this client reads too slowly."""
DISCONNECTED_MESSAGE = "the daemon is not reachable; waiting for it"
QUIT_KEYS = frozenset("qQ\x03")
"""Keys that end the view; some systems report Ctrl-C as a key."""


class End(Enum):
    """The reason why the events ended."""

    DISCONNECTED = "the daemon has closed the connection"
    QUIT = "the user has quit"


Events = Iterable[tuple[str, dict[str, Any]]]
EventQueue = Queue[Events | End]


class Display(Protocol):
    """Renders the model."""

    def render(self, model: WatchModel, lines: Sequence[str], problem: str = "") -> float:
        """Render the changed model.

        ``lines`` describe its changes, and ``problem`` is a problem of the connection. Returns the seconds after which
        to render again even without a change.
        """


class LineDisplay:
    """Prints a line for each change, for output that is not a terminal."""

    def render(self, model: WatchModel, lines: Sequence[str], problem: str = "") -> float:  # noqa: ARG002 - protocol
        """Print ``lines`` and ``problem`` with the time."""
        for line in [*lines, *([problem] if problem else [])]:
            click.echo(f"{localtime.now():%H:%M:%S} {line}")
        return REFRESH_INTERVAL_SECONDS


class ScreenDisplay:
    """Draws the model on a terminal."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn = float("-inf")

    def render(self, model: WatchModel, lines: Sequence[str], problem: str = "") -> float:  # noqa: ARG002 - protocol
        """Draw the model, unless the last draw was too recent."""
        now = time.monotonic()
        if not problem and now - self._drawn < MIN_REFRESH_INTERVAL_SECONDS:
            return MIN_REFRESH_INTERVAL_SECONDS
        self._drawn = now
        width, height = self._live.console.size
        self._live.update(view(model, width=width, height=height, problem=problem), refresh=True)
        return REFRESH_INTERVAL_SECONDS


def watch(client: ControlClient) -> None:
    """Show the daemon's state until the user quits.

    Raises :class:`NotRunningError` if no daemon runs at the start; later restarts are awaited.
    """
    with suppress(KeyboardInterrupt):
        _watch(client)


def _watch(client: ControlClient) -> None:
    console = terminal.console()
    stream: EventStream | None = client.listen(*KINDS)
    live = Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else None
    display: Display = ScreenDisplay(live) if live else LineDisplay()
    queue: EventQueue = Queue(MAX_QUEUED_BATCHES)
    with live or nullcontext(), _keyboard() as read_key:
        if read_key:
            _in_thread(_wait_for_quit_key, read_key, queue)
        while True:
            if stream is not None:
                with stream:
                    _in_thread(_queue_events, stream, queue)
                    if _follow(queue, display) is End.QUIT:
                        return
                display.render(WatchModel(), [], DISCONNECTED_MESSAGE)
            elif _next(queue, REFRESH_INTERVAL_SECONDS) is End.QUIT:
                return
            stream = _reconnect(client)


def _reconnect(client: ControlClient) -> EventStream | None:
    try:
        return client.listen(*KINDS)
    except (NotRunningError, NoResponseError):
        return None


def _follow(queue: EventQueue, display: Display) -> End:
    """Show events until the daemon disconnects or the user quits."""
    model, timeout = WatchModel(), REFRESH_INTERVAL_SECONDS
    while not isinstance(received := _next(queue, timeout), End):
        lines = [line for kind, document in received for line in model.apply(kind, document)]
        timeout = display.render(model, lines)
    return received


def _next(queue: EventQueue, timeout: float) -> Events | End:
    """Return the next batch of events or the end; an empty batch after ``timeout``."""
    try:
        return queue.get(timeout=timeout)
    except Empty:
        return ()


def _in_thread(function: Callable[..., None], *arguments: object) -> None:
    """Call a blocking function in a thread that does not keep the process alive."""
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
    """Yield a function that waits for a key and returns it; None without a terminal."""
    if not sys.stdin.isatty():
        yield None
    else:
        with unbuffered_keys() as read_key:
            yield read_key
