"""Five hundred schedules of the whole engine; and that the simulation itself can be trusted."""

import subprocess
import sys

from syncd.core.chunks import ChunkSet
from syncd.store import uploads
from tests.simulation.plan import draw
from tests.simulation.run import run, shorten
from tests.simulation.runner import ROOT, environment, run_all

SCHEDULES = 500
SIMULATION = [sys.executable, "-m", "tests.simulation"]


def test_every_promise_holds():
    failed = [outcome.told() for outcome in run_all(0, SCHEDULES) if outcome.blames]
    assert not failed, "\n".join(failed)


def test_a_seed_replays_exactly():
    runs = [
        subprocess.run(
            [*SIMULATION, "--seed", "25", "-v"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0].stdout.count("\n") > 50
    assert runs[0].stdout == runs[1].stdout


def test_a_broken_promise_is_found_and_its_schedule_shortened(monkeypatch):
    monkeypatch.setattr(uploads, "ChunkSet", lambda _: ChunkSet())  # what was acknowledged is forgotten
    found = next(result for seed in range(50) if (result := run(draw(seed))).broken == "P3")
    short = shorten(found.plan, "P3")
    assert len(short.steps) < len(found.plan.steps)
    assert run(short).broken == "P3"
