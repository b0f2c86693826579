"""How far it is: bars on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli import formatting

SHOWN = 6
"""Files in flight that are named."""
PLAIN_EVERY = 5.0
"""Seconds between two plain lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flight:
    """A file on its way. ``name`` is fit for showing; ``size`` and ``sent`` in bytes."""

    name: str
    remote: str
    size: int
    sent: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One look at the work: numbers of files, counted once a remote, and bytes still to be sent."""

    done: int
    left: int
    failed: int
    pending: int
    per_second: float
    scanning: bool = False
    flights: Sequence[Flight] = ()


class Progress:
    """Shows one :class:`View` after the other on ``console`` as long as the context lasts."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._pending = 0
        self._finished = 0
        self._said = clock()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, view: View) -> None:
        """Take a new look. What is pending grows while more is found and shrinks by what is finished."""
        self._finished += max(0, self._pending - view.pending)
        self._pending = view.pending
        if self._live:
            self._live.update(self._bars(view), refresh=True)
        elif self._clock() - self._said >= PLAIN_EVERY:
            self._said = self._clock()
            self._console.print(f"{self._bytes(view)}; {_files(view)}", highlight=False, markup=False, soft_wrap=True)

    def _bars(self, view: View) -> RenderableType:
        total = self._finished + view.pending
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(ProgressBar(total=max(1, total), completed=self._finished), Text(self._bytes(view)))
        flights = Table.grid(padding=(0, 1), expand=True)
        for justify in ("left", "right", "right"):
            flights.add_column(no_wrap=True, justify=justify)
        flights.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for flight in sorted(view.flights, key=lambda flight: -flight.size)[:SHOWN]:
            share = "" if flight.sent is None else f"{_percent(flight.sent, flight.size)}%"
            flights.add_row(f"  {flight.remote}", formatting.size(flight.size), share, Text(flight.name))
        return Group(bar, Text(_files(view)), flights)

    def _bytes(self, view: View) -> str:
        total = self._finished + view.pending
        parts = [
            f"{_percent(self._finished, total)}%",
            f"{formatting.size(self._finished)} of {formatting.size(total)}",
        ]
        if view.pending and view.per_second > 0:
            parts.append(f"{formatting.size(view.per_second)}/s")
            parts.append(f"{formatting.duration(view.pending / view.per_second)} left")
        return "  ".join(parts)


def _files(view: View) -> str:
    failed = f", {view.failed:,} failed" if view.failed else ""
    return f"{view.done:,} done, {view.left:,} to go{failed}" + (", looking for more" if view.scanning else "")


def _percent(part: int, whole: int) -> int:
    return min(100, part * 100 // whole) if whole else 0
