import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from syncd.cli.progress import Progress
from syncd.core.progress import FileProgress, WorkProgress
from tests.support.clock import ManualClock


def work(**other):
    return WorkProgress(**{"done": 1, "left": 2, "failed": 0, "pending": 3 * 2**20, "per_second": 2.0**20, **other})


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)


def shown_lines(console):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", console.file.getvalue())
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_progress_shows_percentage_and_counts(terminal):
    with Progress(terminal) as progress:
        progress.show(work(pending=4 * 2**20))
        progress.show(work(failed=1))
    shown = " ".join(shown_lines(terminal))
    assert "25%  1.0 MiB of 4.0 MiB  1.0 MiB/s  3 s left" in shown
    assert "1 done, 2 to go, 1 failed" in shown


def test_progress_total_grows_with_found_files(terminal):
    with Progress(terminal) as progress:
        progress.show(work(pending=4 * 2**20, scanning=True))
        progress.show(work(pending=1 * 2**20))
        progress.show(work(pending=2 * 2**20))
        progress.show(work(pending=0))
    shown = " ".join(shown_lines(terminal))
    assert "looking for more" in shown
    assert "60%  3.0 MiB of 5.0 MiB" in shown
    assert "100%  5.0 MiB of 5.0 MiB" in shown


def test_progress_shows_largest_files_within_width(terminal):
    long = "سلام 🏔️ " * 30
    files = [
        FileProgress(name=f"{number} {long}", label="drive", size=2**20 * number, sent=2**19) for number in range(1, 10)
    ]
    with Progress(terminal) as progress:
        progress.show(work(files=files))
    shown = shown_lines(terminal)
    assert [line.split()[1] for line in shown if line.startswith("drive")][:6] == [
        "9.0",
        "8.0",
        "7.0",
        "6.0",
        "5.0",
        "4.0",
    ]
    assert "50%" not in shown[0]
    assert any("12%" in line for line in shown)
    assert max(cell_len(line) for line in shown) <= 80


def test_progress_without_terminal_prints_plain_lines():
    clock = ManualClock(0.0)
    console = Console(file=io.StringIO(), width=20)
    with Progress(console, clock=clock) as progress:
        for _ in range(11):
            clock.advance(1.0)
            progress.show(work())
    assert console.file.getvalue() == "0%  0 B of 3.0 MiB  1.0 MiB/s  3 s left; 1 done, 2 to go\n" * 2
