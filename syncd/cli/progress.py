"""Shows the progress of a command: bars on a terminal, plain lines elsewhere.

``once``, ``verify`` and ``restore`` use :func:`progress_display`; ``demo`` uses :class:`Progress` itself.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli import formatting, terminal
from syncd.cli.state_folder import open_locked, open_readonly
from syncd.config.load import Loaded
from syncd.core.progress import WorkProgress

MAX_FILES_SHOWN = 6
"""Most files in transfer that have a line on the terminal."""
PLAIN_INTERVAL_SECONDS = 5.0
"""Time between two plain lines."""


class Progress:
    """Draws each :class:`WorkProgress` on ``console`` during the context."""

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

    def show(self, view: WorkProgress) -> None:
        """Draw ``view``.

        Its pending bytes grow as files are found, and shrink as bytes are sent.
        """
        self._finished += max(0, self._pending - view.pending)
        self._pending = view.pending
        if self._live:
            self._live.update(self._bars(view), refresh=True)
        elif self._clock() - self._last_line_at >= PLAIN_INTERVAL_SECONDS:
            self._last_line_at = self._clock()
            self._console.print(f"{self._bytes(view)}; {_files(view)}", highlight=False, markup=False, soft_wrap=True)

    def _bars(self, view: WorkProgress) -> RenderableType:
        total = self._finished + view.pending
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(ProgressBar(total=max(1, total), completed=self._finished), Text(self._bytes(view)))
        files = Table.grid(padding=(0, 1), expand=True)
        for justify in ("left", "right", "right"):
            files.add_column(no_wrap=True, justify=justify)
        files.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for file in sorted(view.files, key=lambda file: -file.size)[:MAX_FILES_SHOWN]:
            percentage = "" if file.sent is None else f"{_percent(file.sent, file.size)}%"
            files.add_row(f"  {file.label}", formatting.size(file.size), percentage, Text(formatting.clean(file.name)))
        return Group(bar, Text(_files(view)), files)

    def _bytes(self, view: WorkProgress) -> str:
        total = self._finished + view.pending
        parts = [
            f"{_percent(self._finished, total)}%",
            f"{formatting.size(self._finished)} of {formatting.size(total)}",
        ]
        if view.pending and view.per_second > 0:
            parts.append(f"{formatting.size(view.per_second)}/s")
            parts.append(f"{formatting.duration(view.pending / view.per_second)} left")
        return "  ".join(parts)


def _files(view: WorkProgress) -> str:
    failed = f", {view.failed:,} failed" if view.failed else ""
    return f"{view.done:,} done, {view.left:,} to go{failed}" + (", looking for more" if view.scanning else "")


def _percent(part: int, total: int) -> int:
    return min(100, part * 100 // total) if total else 0


@contextmanager
def progress_display(loaded: Loaded, *, lock: bool) -> Iterator[Callable[[WorkProgress], None] | None]:
    """Open the state folder and yield a function that draws progress.

    Yields None without a terminal. With ``lock``, the state folder is locked. Bars and log lines cannot share a
    terminal, so no log lines are printed there: the command prints its problems at the end, and the log file has every
    event.
    """
    open_state = open_locked if lock else open_readonly
    console = terminal.console(stderr=True)
    with ExitStack() as stack:
        if not console.is_terminal:
            stack.enter_context(open_state(loaded))
            yield None
            return
        devnull = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(open_state(loaded, stream=devnull))
        yield stack.enter_context(Progress(console)).show
