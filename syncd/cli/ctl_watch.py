"""``syncd ctl watch``: looks on at the daemon until q or Ctrl-C, over its restarts too."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live

from syncd.cli.scene import Scene
from syncd.cli.scene_view import view
from syncd.control.client import ControlClient, EventStream, NoAnswer, NotRunning

KINDS = ("daemon", "folder", "remote", "job", "progress")
AGAIN = 1.0
"""Seconds between two tries to reach a daemon that is gone, and at most between two pictures."""
LEAST = 0.1
"""Seconds between two pictures at least."""
GONE = "the daemon is gone; waiting for it"


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
            click.echo(f"{time.strftime('%H:%M:%S')} {line}")
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
    """Show what goes on. :class:`NotRunning` if nobody is there at the start."""
    stream: EventStream | None = client.listen(*KINDS)
    console = Console()
    live = Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else None
    show: Show = Screen(live) if live else Lines()
    try:
        with live or nullcontext(), _keys() as keys:
            while True:
                if stream is None:
                    stream = _again(client)
                    if stream is None and _pressed_q(keys, AGAIN):
                        return
                else:
                    with stream:
                        if _follow(stream, show, keys):
                            return
                    stream = None
                    show.told(Scene(), [], GONE)
    except KeyboardInterrupt:
        return


def _again(client: ControlClient) -> EventStream | None:
    try:
        return client.listen(*KINDS)
    except (NotRunning, NoAnswer):
        return None


def _follow(stream: EventStream, show: Show, keys: int | None) -> bool:
    """Show what comes until the daemon is gone, or, which is true, the person has had enough."""
    scene, patience = Scene(), AGAIN
    while True:
        watched: list[EventStream | int] = [stream] if keys is None else [stream, keys]
        ready, _, _ = select.select(watched, [], [], patience)
        if keys in ready and _pressed_q(keys, 0):
            return True
        lines: list[str] = []
        if stream in ready:
            events = stream.receive()
            if events is None:
                return False
            for kind, document in events:
                lines += scene.take(kind, document)
        patience = show.told(scene, lines)


@contextmanager
def _keys() -> Generator[int | None]:
    """Give the terminal's keys, each as it is pressed; None where there is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setcbreak(keys)
    try:
        yield keys
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _pressed_q(keys: int | None, patience: float) -> bool:
    """Wait for a key up to ``patience`` seconds; say whether it was q."""
    if keys is None:
        time.sleep(patience)
        return False
    if not select.select([keys], [], [], patience)[0]:
        return False
    pressed = os.read(keys, 64)
    return not pressed or b"q" in pressed.lower()
