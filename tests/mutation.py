"""Run mutation tests: change the code in one place and check that a test fails.

Run it with ``make mutation``. The mutants are a random sample of Cosmic Ray's (a negated condition, `and` for `or`,
another operator, a loop that never runs); the same seed gives the same sample. Each mutant is applied in a clone of the
last commit and tested with the tests of its package that start no process and run the changed line. Prints the mutants
that survived; exits with 1 if there are too many.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
from multiprocessing.pool import Pool
from pathlib import Path

from cosmic_ray.commands import init as list_changes
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkResult

PACKAGES = ("core", "store", "upload", "remotes", "watch", "receiver", "config", "control")
OPERATORS = re.compile(
    "core/(ReplaceComparison|ReplaceBinary|ReplaceUnary|ReplaceAnd|ReplaceOr|AddNot|ZeroIteration|ReplaceBreak)"
)
"""Operators to draw from: changed comparisons, arithmetic, conditions and loops.

Constants and decorators are left out: most are tuning values, or options of dataclasses that no behaviour shows.
"""
EXCLUDED_OPERATORS = re.compile("core/ReplaceBinaryOperator_(BitOr_|Mul_)")
"""Operators to leave out: annotations are full of `|`, and Cosmic Ray mistakes the `*` of a signature for one."""
TIMEOUT_SECONDS = 300.0
"""Timeout of the tests in seconds; a mutant that exceeds it is killed."""
MIN_KILLED_SHARE = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=300, help="how many changes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="how many at once (default: %(default)s)")
    parser.add_argument("--python", default=".venv/bin/python", help="what has pytest (default: %(default)s)")
    parser.add_argument("packages", nargs="*", default=PACKAGES, help="folders of syncd/ (default: %(default)s)")
    options = parser.parse_args()
    python = os.path.abspath(options.python)
    with tempfile.TemporaryDirectory(prefix="syncd-mutation-") as folder:
        trees = [_clone(Path(folder) / f"tree-{number}") for number in range(options.workers)]
        chosen = sample(trees[0], options.packages, options.count, options.seed)
        free: multiprocessing.SimpleQueue[Path] = multiprocessing.SimpleQueue()
        for tree in trees:
            free.put(tree)
        with multiprocessing.Pool(options.workers, _enter, (free,)) as pool:
            records = {package: Path(folder) / f"{package}.json" for package in options.packages}
            baselines = [(_baseline(python, package, record), TIMEOUT_SECONDS) for package, record in records.items()]
            passed = pool.starmap(_passes, baselines, chunksize=1)
            if not all(passed):
                broken = ", ".join(package for package, good in zip(records, passed, strict=True) if not good)
                print(f"the tests of {broken} fail without any change; mend that first", file=sys.stderr)
                return 2
            work = []
            for number, change in enumerate(chosen):
                package = change.module_path.parts[1]
                tests = Path(folder) / f"tests-{number}"
                tests.write_text("\n".join(_covering(change, records[package]) or [f"tests/{package}"]))
                work.append((change, _pytest(python, f"@{tests}")))
            return _report_survivors(pool, work)


def sample(tree: Path, packages: list[str], count: int, seed: int) -> list[MutationSpec]:
    """Choose ``count`` random locations in the packages of ``tree``, and one change at each."""
    modules = [path.relative_to(tree) for package in packages for path in sorted(tree.glob(f"syncd/{package}/**/*.py"))]
    os.chdir(tree)
    with use_db(tree.parent / "changes.sqlite", WorkDB.Mode.create) as changes:
        list_changes(modules, changes, {})
        known = [item.mutations[0] for item in changes.work_items]
    locations: dict[tuple[Path, tuple[int, int], tuple[int, int]], list[MutationSpec]] = {}
    for change in known:
        if OPERATORS.match(change.operator_name) and not EXCLUDED_OPERATORS.match(change.operator_name):
            locations.setdefault((change.module_path, tuple(change.start_pos), tuple(change.end_pos)), []).append(
                change
            )
    chance = random.Random(seed)
    drawn = chance.sample(sorted(locations), min(count, len(locations)))
    return [chance.choice(sorted(locations[location], key=lambda change: change.operator_name)) for location in drawn]


def _clone(tree: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", "--local", ".", tree], check=True)
    return tree


def _pytest(python: str, *arguments: str) -> str:
    return shlex.join([python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not e2e", *arguments])


def _baseline(python: str, package: str, record: Path) -> str:
    return _pytest(python, "-p", "tests.line_tests", "--line-tests", str(record), f"tests/{package}")


def _covering(change: MutationSpec, record: Path) -> list[str]:
    """Return the tests that run a line of ``change``.

    A line that runs when its module is imported has none.
    """
    recorded = json.loads(record.read_text(encoding="utf-8"))
    lines = recorded["lines"].get(str(change.module_path), {})
    changed = range(change.start_pos[0], change.end_pos[0] + 1)
    numbers = {number for line in changed for number in lines.get(str(line), [])}
    return [recorded["tests"][number] for number in sorted(numbers)]


def _enter(free: "multiprocessing.SimpleQueue[Path]") -> None:
    tree = free.get()
    os.chdir(tree)
    # PYTHONPATH goes before the editable install, which is the code that nobody changed.
    os.environ.update(PYTHONPATH=str(tree), CI="true")


def _passes(command: str, longest: float) -> bool:
    """Run the tests without a change, at most twice, and return whether they pass.

    Print the output of a failure.
    """
    for _ in range(2):
        outcome, output = run_tests(command, longest)
        if outcome == TestOutcome.SURVIVED:
            return True
        print(output[-2000:], file=sys.stderr, flush=True)
    return False


def _try(about: tuple[MutationSpec, str]) -> tuple[MutationSpec, WorkResult]:
    change, command = about
    return change, mutate_and_test([change], command, TIMEOUT_SECONDS)


def _report_survivors(pool: Pool, work: list[tuple[MutationSpec, str]]) -> int:
    survived, began = 0, time.monotonic()
    for number, (change, result) in enumerate(pool.imap_unordered(_try, work), 1):
        if not result.is_killed:
            survived += 1
            print(f"SURVIVED {change.operator_name.removeprefix('core/')}\n{_shown(result)}", flush=True)
        if number % 10 == 0 or number == len(work):
            minutes = (time.monotonic() - began) / 60
            print(f"{number} of {len(work)} changes, {survived} not noticed, {minutes:.0f} min", flush=True)
    share = 1 - survived / len(work) if work else 0.0
    print(f"{share:.1%} noticed; asked: {MIN_KILLED_SHARE:.0%}")
    return 0 if share >= MIN_KILLED_SHARE else 1


def _shown(result: WorkResult) -> str:
    return "\n".join(line for line in (result.diff or "").splitlines() if line.strip())


if __name__ == "__main__":
    sys.exit(main())
