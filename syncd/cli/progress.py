"""Shows the progress of a command: bars on a terminal, a plain line every few seconds elsewhere."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli import formatting, terminal
from syncd.cli.session import locked_session, readonly_session
from syncd.config.load import Loaded
from syncd.core.text import printable

if TYPE_CHECKING:
    from syncd.recovery.fetch import Snapshot

MAX_FILES_SHOWN = 6
"""Files being transferred that get a line on the terminal."""
PLAIN_INTERVAL_SECONDS = 5.0
"""Time between two plain lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileProgress:
    """A file being transferred. ``name`` is printable; ``size`` and ``sent`` are in bytes."""

    name: str
    remote: str
    size: int
    sent: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressView:
    """The state of the work: numbers of files, counted once per remote, and ``pending`` bytes still to send."""

    done: int
    left: int
    failed: int
    pending: int
    per_second: float
    scanning: bool = False
    flights: Sequence[FileProgress] = ()


class Progress:
    """Draws each :class:`ProgressView` on ``console`` during the context."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._pending = 0
        self._finished = 0
        self._last_line_at = clock()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, view: ProgressView) -> None:
        """Draw ``view``. Its pending bytes grow as files are found, and shrink as bytes are sent."""
        self._finished += max(0, self._pending - view.pending)
        self._pending = view.pending
        if self._live:
            self._live.update(self._bars(view), refresh=True)
        elif self._clock() - self._last_line_at >= PLAIN_INTERVAL_SECONDS:
            self._last_line_at = self._clock()
            self._console.print(f"{self._bytes(view)}; {_files(view)}", highlight=False, markup=False, soft_wrap=True)

    def _bars(self, view: ProgressView) -> RenderableType:
        total = self._finished + view.pending
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(ProgressBar(total=max(1, total), completed=self._finished), Text(self._bytes(view)))
        flights = Table.grid(padding=(0, 1), expand=True)
        for justify in ("left", "right", "right"):
            flights.add_column(no_wrap=True, justify=justify)
        flights.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for flight in sorted(view.flights, key=lambda flight: -flight.size)[:MAX_FILES_SHOWN]:
            share = "" if flight.sent is None else f"{_percent(flight.sent, flight.size)}%"
            flights.add_row(f"  {flight.remote}", formatting.size(flight.size), share, Text(flight.name))
        return Group(bar, Text(_files(view)), flights)

    def _bytes(self, view: ProgressView) -> str:
        total = self._finished + view.pending
        parts = [
            f"{_percent(self._finished, total)}%",
            f"{formatting.size(self._finished)} of {formatting.size(total)}",
        ]
        if view.pending and view.per_second > 0:
            parts.append(f"{formatting.size(view.per_second)}/s")
            parts.append(f"{formatting.duration(view.pending / view.per_second)} left")
        return "  ".join(parts)


def _files(view: ProgressView) -> str:
    failed = f", {view.failed:,} failed" if view.failed else ""
    return f"{view.done:,} done, {view.left:,} to go{failed}" + (", looking for more" if view.scanning else "")


def _percent(part: int, whole: int) -> int:
    return min(100, part * 100 // whole) if whole else 0


@contextmanager
def progress_display(loaded: Loaded, *, lock: bool) -> Iterator[Callable[[ProgressView], None] | None]:
    """Open a session and yield the function that draws its progress, or None without a terminal.

    ``lock`` tells whether to lock the state folder. Bars and log lines cannot share a terminal, so the terminal gets no
    log lines: the command prints its problems at the end, and the log file has every event.
    """
    session = locked_session if lock else readonly_session
    console = terminal.console(stderr=True)
    with ExitStack() as stack:
        if not console.is_terminal:
            stack.enter_context(session(loaded))
            yield None
            return
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(session(loaded, stream=nowhere))
        yield stack.enter_context(Progress(console)).show


def recovery_progress(show: Callable[[ProgressView], None] | None) -> Callable[["Snapshot"], None] | None:
    """Return a callback that draws the progress of ``verify`` and ``restore`` with ``show``."""
    return None if show is None else lambda snapshot: show(_recovery_view(snapshot))


def _recovery_view(snapshot: "Snapshot") -> ProgressView:
    return ProgressView(
        done=snapshot.done,
        left=snapshot.left,
        failed=snapshot.bad,
        pending=snapshot.pending,
        per_second=snapshot.per_second,
        flights=[
            FileProgress(
                name=printable(os.path.basename(file.path)), remote=file.remote, size=file.size, sent=file.received
            )
            for file in snapshot.downloads
        ],
    )
