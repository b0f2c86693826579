"""Runs some hundreds of schedules of the whole daemon, and tests the simulation itself."""

import subprocess
import sys

import pytest

from tests.simulation.mutants import MUTANTS, schedules_until_found
from tests.simulation.plan import draw
from tests.simulation.run import run, shorten
from tests.simulation.runner import ROOT, environment, run_all

pytestmark = pytest.mark.e2e

SCHEDULES = 150
"""`.ci/run` runs more."""
MUTANT_SCHEDULES = 350
"""A mutant must be noticed within this many schedules."""
SIMULATION = [sys.executable, "-m", "tests.simulation"]


@pytest.mark.timeout(1500)
def test_schedules_keep_every_promise():
    failed = [outcome.summary() for outcome in run_all(0, SCHEDULES) if outcome.violations]
    assert not failed, "\n".join(failed)


def test_seed_replays_exactly():
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
    "the record of acknowledged chunks is forgotten": 1,
    "an overflow of the kernel's queue is forgotten": 47,
    "no block is compared with its checksum": 1,
    "no breaker: every job probes": 1,
    "a file that was read stays open": 1,
    "nothing is redacted": 1,
    "deletion: the first remote is enough": 1,
    "deletion: an old confirmation counts, and one that expires": 1,
    "deletion: the file is not read again": 21,
}
"""Mutants that are found soon, one or two a promise, and a seed from which few schedules are enough.

The others are for ``python -m tests.simulation.mutants``.
"""


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.name in QUICK], ids=lambda one: one.name)
def test_simulation_notices_mutant(mutant):
    assert schedules_until_found(mutant, QUICK[mutant.name], MUTANT_SCHEDULES)


def test_shorten_failing_schedule_has_fewer_steps():
    (mutant,) = (one for one in MUTANTS if one.name == "the record of acknowledged chunks is forgotten")
    with mutant.applied():
        found = next(result for seed in range(50) if (result := run(draw(seed))).broken == "P3")
        short = shorten(found.plan, "P3")
        assert len(short.steps) < len(found.plan.steps)
        assert run(short).broken == "P3"
