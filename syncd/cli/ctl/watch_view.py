"""``syncd ctl watch`` on a terminal: the scene in as many lines and columns as there are."""

import os

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli.ctl.watch_model import Document, Scene, standing
from syncd.cli.formatting import clean, size

NARROW = 60
"""Columns below which a file has no bar of its own."""
BAR = 20
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
}
OTHER_COLOUR = "yellow"


def view(scene: Scene, *, width: int, height: int, note: str = "") -> RenderableType:
    """Return the whole picture; every part is one line, so that it fits. ``note`` says what is amiss with the line."""
    above = [_head(scene, note), *_totals(scene, width), _counts(scene)]
    below = [
        *(_line(standing(name, remote), remote["state"]) for name, remote in scene.remotes.items()),
        *(_line(standing(name, folder), folder["state"]) for name, folder in scene.folders.items()),
        *(_line(_failure(failure), "failed") for failure in scene.failures),
    ]
    room = max(1, height - len(above) - len(below) - 2)
    shown: list[RenderableType] = [_flight(flight, width) for flight in scene.flights[:room]]
    if len(scene.flights) > room:
        shown[-1] = Text(f"  and {len(scene.flights) - room + 1} more", style="dim")
    lines: list[RenderableType] = [*above, Text(""), *shown, Text(""), *below]
    return Group(*lines[:height])


def _head(scene: Scene, note: str) -> RenderableType:
    line = Text("syncd ", style="bold", no_wrap=True, overflow="ellipsis")
    if note:
        return line.append(note, style="red")
    line.append(scene.state or "…", style=COLOURS.get(scene.state, OTHER_COLOUR))
    if scene.state == "stopped":
        line.append("  go on: syncd ctl start", style="not bold")
    return line.append("  q ends this view", style="not bold dim")


def _totals(scene: Scene, width: int) -> list[RenderableType]:
    bar = Table.grid(expand=True)
    bar.add_row(ProgressBar(total=1.0, completed=scene.share))
    numbers = scene.numbers()
    if len("  ".join(numbers)) <= width:
        return [bar, _line("  ".join(numbers))]
    return [bar, _line("  ".join(numbers[:2])), _line("  ".join(numbers[2:]))]


def _counts(scene: Scene) -> RenderableType:
    line = Text(no_wrap=True, overflow="ellipsis")
    for state, number in scene.jobs.items():
        if number:
            line.append(", " if line else "").append(f"{number:,} ").append(
                state, style=COLOURS.get(state, OTHER_COLOUR)
            )
    return line or Text("no files yet")


def _flight(flight: Document, width: int) -> RenderableType:
    whole, sent = flight["size"], flight["sent"]
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    cells: list[RenderableType] = [Text(f"  {clean(os.path.basename(flight['path']))}")]
    if width >= NARROW:
        row.add_column(no_wrap=True)
        row.add_column(no_wrap=True, justify="right", min_width=8)
        row.add_column(no_wrap=True, width=BAR)
        cells += [
            Text(clean(flight["remote"])),
            Text(size(whole)),
            ProgressBar(total=max(1, whole), completed=min(sent, whole), width=BAR),
        ]
    row.add_column(no_wrap=True, justify="right", min_width=8)
    row.add_row(*cells, Text(f"{min(100, sent * 100 // max(1, whole))}%" if sent else clean(flight["stage"])))
    return row


def _failure(job: Document) -> str:
    return f"failed: {clean(os.path.basename(job['path']))} to {clean(job['remote'])}: {clean(job['detail'])}"


def _line(text: str, state: str = "") -> Text:
    """Return a line, with the word for the state in its colour."""
    line = Text(text, no_wrap=True, overflow="ellipsis")
    if state:
        line.highlight_words([state], style=COLOURS.get(state, OTHER_COLOUR))
    return line
