"""Draws the model of ``syncd ctl watch`` in the size of the terminal."""

import os

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli.ctl.watch_model import Document, WatchModel, state_line
from syncd.cli.formatting import clean, size
from syncd.control.problems import stopped_until

MIN_BAR_TERMINAL_COLUMNS = 60
"""Terminal width from which each upload has a bar."""
BAR_COLUMNS = 20
COLOURS = {
    "running": "green",
    "watching": "green",
    "online": "green",
    "done": "green",
    "uploading": "cyan",
    "scanning": "cyan",
    "failed": "red",
    "offline": "red",
    "unauthorized": "red",
    "blocked": "red",
}
OTHER_COLOUR = "yellow"


def view(model: WatchModel, *, width: int, height: int, problem: str = "") -> RenderableType:
    """Return the view in at most ``height`` lines.

    ``problem`` is a problem of the connection, shown in the first line.
    """
    above = [_head(model, problem), *_totals(model, width), _counts(model)]
    below = [
        *(_line(state_line(name, remote), remote["state"]) for name, remote in model.remotes.items()),
        *(_line(state_line(name, folder), folder["state"]) for name, folder in model.folders.items()),
        *(_line(_failure(failure), "failed") for failure in model.failures),
    ]
    max_uploads = max(1, height - len(above) - len(below) - 2)
    shown: list[RenderableType] = [_upload(upload, width) for upload in model.uploads[:max_uploads]]
    if len(model.uploads) > max_uploads:
        shown[-1] = Text(f"  and {len(model.uploads) - max_uploads + 1} more", style="dim")
    lines: list[RenderableType] = [*above, Text(""), *shown, Text(""), *below]
    return Group(*lines[:height])


def _head(model: WatchModel, problem: str) -> RenderableType:
    line = Text("syncd ", style="bold", no_wrap=True, overflow="ellipsis")
    if problem:
        return line.append(problem, style="red")
    line.append(model.state or "…", style=COLOURS.get(model.state, OTHER_COLOUR))
    if model.state == "stopped":
        line.append(f"{stopped_until(model.stopped_until)}  resume: syncd ctl start", style="not bold")
    return line.append("  q: quit", style="not bold dim")


def _totals(model: WatchModel, width: int) -> list[RenderableType]:
    bar = Table.grid(expand=True)
    bar.add_row(ProgressBar(total=1.0, completed=model.fraction))
    numbers = model.numbers()
    if len("  ".join(numbers)) <= width:
        return [bar, _line("  ".join(numbers))]
    return [bar, _line("  ".join(numbers[:2])), _line("  ".join(numbers[2:]))]


def _counts(model: WatchModel) -> RenderableType:
    line = Text(no_wrap=True, overflow="ellipsis")
    for state, number in model.jobs.items():
        if number:
            line.append(", " if line else "").append(f"{number:,} ").append(
                state, style=COLOURS.get(state, OTHER_COLOUR)
            )
    return line or Text("no jobs yet")


def _upload(upload: Document, width: int) -> RenderableType:
    size_bytes, sent = upload["size"], upload["sent"]
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    cells: list[RenderableType] = [Text(f"  {clean(os.path.basename(upload['path']))}")]
    if width >= MIN_BAR_TERMINAL_COLUMNS:
        row.add_column(no_wrap=True)
        row.add_column(no_wrap=True, justify="right", min_width=8)
        row.add_column(no_wrap=True, width=BAR_COLUMNS)
        cells += [
            Text(clean(upload["remote"])),
            Text(size(size_bytes)),
            ProgressBar(total=max(1, size_bytes), completed=min(sent, size_bytes), width=BAR_COLUMNS),
        ]
    row.add_column(no_wrap=True, justify="right", min_width=8)
    percent = min(100, sent * 100 // max(1, size_bytes))
    row.add_row(*cells, Text(f"{percent}%" if sent else clean(upload["stage"])))
    return row


def _failure(job: Document) -> str:
    return f"failed: {clean(os.path.basename(job['path']))} to {clean(job['remote'])}: {clean(job['detail'])}"


def _line(text: str, state: str = "") -> Text:
    """Return a line with ``state`` in its colour."""
    line = Text(text, no_wrap=True, overflow="ellipsis")
    if state:
        line.highlight_words([state], style=COLOURS.get(state, OTHER_COLOUR))
    return line
