"""Tests that the simulation's replacements and mutants name attributes that exist."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import draw
from tests.simulation.run import run


def test_schedule_has_no_violations():
    assert not run(draw(1)).violations


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_mutant_applies(mutant):
    with mutant.applied():
        pass
