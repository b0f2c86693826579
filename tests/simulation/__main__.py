"""The simulation's command line: replays one seed, or runs schedules until Ctrl-C."""

import argparse
import os
import sys
import time

from tests.simulation.plan import draw
from tests.simulation.report import Report
from tests.simulation.run import run, shorten
from tests.simulation.runner import environment, run_all, work


def main() -> int:
    """Return 0 if every promise held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed; without it, run new schedules until Ctrl-C")
    parser.add_argument("--shorten", action="store_true", help="remove the steps that the failure does not need")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every event with its simulated time")
    parser.add_argument("--count", type=int, help="run this many schedules, from --seed on")
    parser.add_argument("--worker", type=int, nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a schedule
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], environment())
    if asked.worker:
        first, stride, *count = asked.worker
        work(first, stride, *count or [None])
        return 0
    if asked.seed is not None and asked.count is None:
        return replay(asked.seed, shortened=asked.shorten, verbose=asked.verbose)
    return soak(asked.seed if asked.seed is not None else int(time.time() * 1000), asked.count)


def replay(seed: int, *, shortened: bool, verbose: bool) -> int:
    """Run one schedule and print its steps and its result."""
    plan = draw(seed)
    result = run(plan, print if verbose and not shortened else None)
    if shortened and result.broken:
        plan = shorten(plan, result.broken)
        result = run(plan, print if verbose else None)
    print("\n".join(f"  {step}" for step in plan.steps))
    for promise, how in result.violations:
        print(f"{promise} broken: {how}")
    if not result.violations:
        print(
            f"every promise held, through {result.incarnations} incarnations and {result.seconds:.0f} simulated seconds"
        )
    return 1 if result.violations else 0


def soak(first: int, count: int | None) -> int:
    """Run schedules; print failures at once, the rate every ten seconds, and a report."""
    started, runs, failed, reported_at = time.monotonic(), 0, 0, 0.0
    simulated = 0.0
    table = Report()
    try:
        for outcome in run_all(first, count):
            runs += 1
            simulated += outcome.seconds
            table.add(outcome.tally, survived=not outcome.violations)
            if outcome.violations:
                failed += 1
                print(outcome.summary(), flush=True)
            elapsed = time.monotonic() - started
            if elapsed - reported_at >= 10:
                reported_at = elapsed
                print(f"{runs} schedules, {runs / elapsed:.1f}/s, {failed} failed", flush=True)
    except KeyboardInterrupt:
        pass
    elapsed = time.monotonic() - started
    print("\n".join(table.lines()))
    print(f"{runs} schedules, {simulated / 3600:.0f} simulated hours, {runs / elapsed:.1f}/s, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
