"""Progress for the commands that work on the state folder: bars on a terminal, log lines elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from syncd.cli import terminal
from syncd.cli.progress import Flight, Progress, View
from syncd.cli.session import reading, working
from syncd.config.load import Loaded
from syncd.core.text import printable
from syncd.recovery.fetch import Snapshot


@contextmanager
def showing(loaded: Loaded, *, hold: bool) -> Iterator[Callable[[View], None] | None]:
    """Yield what shows the progress, None where there is no terminal. ``hold`` says whether to hold the state folder.

    Bars and log lines can't share a terminal: what matters is told at the end, the log file has all.
    """
    around = working if hold else reading
    console = terminal.console(stderr=True)
    with ExitStack() as stack:
        if not console.is_terminal:
            stack.enter_context(around(loaded))
            yield None
            return
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(around(loaded, stream=nowhere))
        yield stack.enter_context(Progress(console)).show


def shown(show: Callable[[View], None] | None) -> Callable[[Snapshot], None] | None:
    """Return what shows how far the fetching of copies is."""
    return None if show is None else lambda snapshot: show(_view(snapshot))


def _view(snapshot: Snapshot) -> View:
    return View(
        done=snapshot.done,
        left=snapshot.left,
        failed=snapshot.bad,
        pending=snapshot.pending,
        per_second=snapshot.per_second,
        flights=[
            Flight(name=printable(os.path.basename(file.path)), remote=file.remote, size=file.size, sent=file.received)
            for file in snapshot.downloads
        ],
    )
