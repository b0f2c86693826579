"""``syncd ctl watch``: looks on at the daemon until q or Ctrl-C, over its restarts too.

One queue has it all: what the daemon tells, and the key that ends it. A thread each waits for them, as there is nothing
on Windows that waits for a pipe and a keyboard at once.
"""

import os
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
from syncd.cli.ctl.watch_model import Scene
from syncd.cli.ctl.watch_view import view
from syncd.control.client import ControlClient, EventStream, NoResponseError, NotRunningError

if sys.platform == "win32":
    import msvcrt
else:
    import termios
    import tty

KINDS = ("daemon", "folder", "remote", "job", "progress")
AGAIN = 1.0
"""Seconds between two tries to reach a daemon that is gone, and at most between two pictures."""
LEAST = 0.1
"""Seconds between two pictures at least."""
AHEAD = 16
"""Portions of events that may wait: the daemon drops what comes too fast, and says so."""
GONE = "the daemon is gone; waiting for it"
ENDING = frozenset("qQ\x03")
"""Keys that end it; Ctrl-C is one where the system gives it as a key."""


class End(Enum):
    """What there is to be told apart from events."""

    DAEMON = "the daemon has hung up"
    PERSON = "the person has had enough"


Events = Iterable[tuple[str, dict[str, Any]]]
News = Queue[Events | End]


class Show(Protocol):
    """Where a scene is shown."""

    def told(self, scene: Scene, lines: Sequence[str], note: str = "") -> float:
        """Show a scene that has just changed; ``lines`` say by what, ``note`` says what is amiss with the line.

        Returns the seconds after which it should be shown again, changed or not.
        """


class Lines:
    """In a pipe: a line for each change."""

    def told(self, scene: Scene, lines: Sequence[str], note: str = "") -> float:  # noqa: ARG002 - the other one shows it
        """Print the changes."""
        for line in [*lines, *([note] if note else [])]:
            click.echo(f"{localtime.now():%H:%M:%S} {line}")
        return AGAIN


class Screen:
    """On a terminal: the whole scene, drawn anew."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn = float("-inf")

    def told(self, scene: Scene, lines: Sequence[str], note: str = "") -> float:  # noqa: ARG002 - as above
        """Draw, unless that was only just done."""
        now = time.monotonic()
        if not note and now - self._drawn < LEAST:
            return LEAST
        self._drawn = now
        width, height = self._live.console.size
        self._live.update(view(scene, width=width, height=height, note=note), refresh=True)
        return AGAIN


def watch(client: ControlClient) -> None:
    """Show what goes on. :class:`NotRunningError` if nobody is there at the start."""
    stream: EventStream | None = client.listen(*KINDS)
    console = terminal.console()
    live = Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else None
    show: Show = Screen(live) if live else Lines()
    news: News = Queue(AHEAD)
    try:
        with live or nullcontext(), _keyboard() as press:
            if press:
                _in_thread(_wait_for_key, press, news)
            while True:
                if stream is not None:
                    with stream:
                        _in_thread(_pass_on, stream, news)
                        if _follow(news, show) is End.PERSON:
                            return
                    show.told(Scene(), [], GONE)
                elif _next(news, AGAIN) is End.PERSON:
                    return
                stream = _again(client)
    except KeyboardInterrupt:
        return


def _again(client: ControlClient) -> EventStream | None:
    try:
        return client.listen(*KINDS)
    except (NotRunningError, NoResponseError):
        return None


def _follow(news: News, show: Show) -> End:
    """Show what comes until the daemon is gone, or the person has had enough."""
    scene, patience = Scene(), AGAIN
    while not isinstance(came := _next(news, patience), End):
        lines = [line for kind, document in came for line in scene.take(kind, document)]
        patience = show.told(scene, lines)
    return came


def _next(news: News, patience: float) -> Events | End:
    """Return what comes next; no events if that takes more than ``patience`` seconds."""
    try:
        return news.get(timeout=patience)
    except Empty:
        return ()


def _in_thread(function: Callable[..., None], *arguments: object) -> None:
    """Call a function that waits, for as long as this process is there."""
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _pass_on(stream: EventStream, news: News) -> None:
    while (events := stream.receive()) is not None:
        news.put(events)
    news.put(End.DAEMON)


def _wait_for_key(press: Callable[[], str], news: News) -> None:
    with suppress(OSError):
        while (pressed := press()) and not ENDING & set(pressed):
            pass
    news.put(End.PERSON)


@contextmanager
def _keyboard() -> Generator[Callable[[], str] | None]:
    """Give what waits for keys and returns them, each as it is pressed; None where there is no terminal."""
    if not sys.stdin.isatty():
        yield None
    else:
        with _key_by_key() as press:
            yield press


if sys.platform == "win32":

    def _key_by_key() -> nullcontext[Callable[[], str]]:
        return nullcontext(msvcrt.getwch)

else:

    @contextmanager
    def _key_by_key() -> Generator[Callable[[], str]]:
        keys = sys.stdin.fileno()
        before = termios.tcgetattr(keys)
        tty.setcbreak(keys)
        try:
            yield lambda: os.read(keys, 64).decode(errors="replace")
        finally:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
