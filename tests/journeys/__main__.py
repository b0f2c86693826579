"""Plays the goals of users.

Usage: ``python -m tests.journeys [GOAL]... [--files N] [--python PROGRAM]``.

Prints each step with its time and what was shown, and ends with the problems. ``--python`` names the interpreter of
another version of syncd to compare with.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.journeys.goals import GOALS
from tests.journeys.stage import Stage


def play(name, folder, *, files=None, python=sys.executable, out=sys.stdout):
    """Play one goal in an empty folder; return its problems."""
    goal, usual = GOALS[name]
    print(f"\n=== {goal.__doc__.strip()}", file=out)
    with Stage(Path(folder) / "home", python=python, out=out).open() as stage:
        try:
            goal(stage, files or usual)
        except AssertionError as error:
            stage.check(False, f"the journey ends here: {error}")
    return stage.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("goals", nargs="*", choices=[*GOALS, []], help="default: all")
    parser.add_argument("--files", type=int, help="the number of pictures in each goal")
    parser.add_argument("--python", default=sys.executable)
    given = parser.parse_args()
    problems = []
    for name in given.goals or GOALS:
        with tempfile.TemporaryDirectory() as folder:
            problems += [f"{name}: {each}" for each in play(name, folder, files=given.files, python=given.python)]
    print("\n".join(["", f"{len(problems)} problems", *problems]))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
