"""Five hundred schedules of the whole engine, and proof that a seed is all there is to a schedule."""

import subprocess
import sys

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
