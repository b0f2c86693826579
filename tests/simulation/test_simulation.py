"""Some hundreds of schedules of the whole engine; and that the simulation itself can be trusted."""

import subprocess
import sys

import pytest

from tests.simulation.broken import BREAKAGES, schedules_until_found
from tests.simulation.plan import draw
from tests.simulation.run import run, shorten
from tests.simulation.runner import ROOT, environment, run_all

pytestmark = pytest.mark.e2e

SCHEDULES = 350
SIMULATION = [sys.executable, "-m", "tests.simulation"]


def test_every_promise_holds():
    failed = [outcome.told() for outcome in run_all(0, SCHEDULES) if outcome.blames]
    assert not failed, "\n".join(failed)


def test_a_seed_replays_exactly():
    runs = [
        subprocess.run(
            [*SIMULATION, "--seed", "75", "-v"],
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


QUICK = {
    "the record of acknowledged chunks is forgotten",
    "an overflow of the kernel's queue is forgotten",
    "no block is compared with its checksum",
    "no breaker: every job probes",
    "a file that was read stays open",
    "nothing is masked",
    "deletion: the first remote is enough",
    "deletion: an old confirmation counts, and one that expires",
    "deletion: the file is not read again",
}
"""One of each promise that is found soon; the others are for ``python -m tests.simulation.broken``."""


@pytest.mark.parametrize("breakage", [one for one in BREAKAGES if one.name in QUICK], ids=lambda one: one.name)
def test_what_is_broken_on_purpose_is_found(breakage):
    assert schedules_until_found(breakage, 1, SCHEDULES)


def test_a_schedule_that_fails_is_shortened():
    (breakage,) = (one for one in BREAKAGES if one.name == "the record of acknowledged chunks is forgotten")
    with breakage.broken():
        found = next(result for seed in range(50) if (result := run(draw(seed))).broken == "P3")
        short = shorten(found.plan, "P3")
        assert len(short.steps) < len(found.plan.steps)
        assert run(short).broken == "P3"
