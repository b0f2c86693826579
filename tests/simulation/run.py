"""Runs a schedule to its end, and shortens a schedule that fails."""

import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from syncd.store import startup
from tests.simulation.incarnation import STORE, Incarnation
from tests.simulation.invariants import Invariants
from tests.simulation.plan import Plan
from tests.simulation.world import START, World

LONGEST_DEATH = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of a schedule. ``violations`` are the broken promises with their reasons."""

    plan: Plan
    violations: tuple[tuple[str, str], ...]
    tally: Counter[str]
    incarnations: int
    seconds: float
    """Simulated seconds."""

    @property
    def broken(self) -> str | None:
        """The promise that was broken first, or None."""
        return self.violations[0][0] if self.violations else None


def run(plan: Plan, trace: Callable[[str], None] | None = None) -> Result:
    """Run a schedule; it ends at the first broken promise."""
    open_before = _descriptors()
    world = World(plan, trace)
    incarnations = 0
    try:
        shutil.copyfile(_empty_store(), os.path.join(world.directory, STORE))
        end = ""
        while end != "over" and not world.violations:
            incarnations += 1
            end = _run_incarnation(world)
            if end != "over":
                world.pass_time(world.now() + world.rng.choice([0.0, 1.0, LONGEST_DEATH]))
    finally:
        world.close()
    if not world.violations and _descriptors() > open_before:
        gc.collect()  # closes the files that an exception has kept open
        if left := _descriptors() - open_before:
            world.report_violation("P5", f"{left} descriptors are open after the end that were not before")
    seconds = world.now() - START
    return Result(
        plan=plan, violations=tuple(world.violations), tally=world.tally, incarnations=incarnations, seconds=seconds
    )


def _run_incarnation(world: World) -> str:
    try:
        return Incarnation(world, Invariants(world).check).run()
    except Exception as error:  # noqa: BLE001 - any exception that ends the daemon is a failure
        world.report_violation("crash", f"{type(error).__name__}: {error}")
        return "over"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@cache
def _empty_store() -> str:
    """Create an empty store once; the migrations take longer than a schedule."""
    path = os.path.join(tempfile.mkdtemp(prefix="syncd-simulation-"), STORE)
    startup.prepare(path)
    return path


def shorten(plan: Plan, broken: str) -> Plan:
    """Remove steps, by halves and then one by one, while the same promise breaks."""
    size = max(1, len(plan.steps) // 2)
    while True:
        shorter = False
        for start in range(0, len(plan.steps), size):
            candidate = plan.without(set(plan.steps[start : start + size]))
            if run(candidate).broken == broken:
                plan, shorter = candidate, True
                break
        if not shorter:
            if size == 1:
                return plan
            size //= 2
