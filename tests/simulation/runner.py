"""Runs many schedules, in one process per core, with a fixed hash seed."""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

from tests.simulation.plan import draw
from tests.simulation.run import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of one schedule, from a worker process. ``seconds`` is simulated time."""

    seed: int
    violations: list[list[str]]
    tally: dict[str, int]
    incarnations: int
    seconds: float

    def summary(self) -> str:
        """Return the broken promises, and the command that replays the schedule."""
        lines = [f"seed {self.seed}: {promise} broken: {how}" for promise, how in self.violations]
        return "\n".join([*lines, f"  see it again: {command(self.seed)}"])


def command(seed: int) -> str:
    """Return the command that replays a schedule with as few steps as possible."""
    return f".venv/bin/python -m tests.simulation --seed {seed} --shorten"


def environment() -> dict[str, str]:
    """Return the environment in which a process replays a seed exactly."""
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}


def work(first: int, stride: int, count: int | None) -> None:
    """Run schedules, as one of several processes, and print each outcome as a line of JSON."""
    for seed in itertools.islice(itertools.count(first, stride), count):
        result = run(draw(seed))
        outcome = Outcome(
            seed=seed,
            violations=[list(violation) for violation in result.violations],
            tally=dict(result.tally),
            incarnations=result.incarnations,
            seconds=result.seconds,
        )
        print(json.dumps(asdict(outcome)), flush=True)


def run_all(first: int, count: int | None = None, *, processes: int | None = None) -> Iterator[Outcome]:
    """Yield the outcomes of ``count`` schedules from seed ``first`` on; None has no end."""
    processes = processes or os.cpu_count() or 1
    outcomes: Queue[Outcome | None] = Queue()

    def listen(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            outcomes.put(Outcome(**json.loads(line)))
        outcomes.put(None)

    with ExitStack() as stack:
        for number in range(processes):
            share = [] if count is None else [str(len(range(number, count, processes)))]
            arguments = ["--worker", str(first + number), str(processes), *share]
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.simulation", *arguments],
                    cwd=ROOT,
                    env=environment(),
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            threading.Thread(target=listen, args=(process,), daemon=True).start()
        for _ in range(processes):
            while (outcome := outcomes.get()) is not None:
                yield outcome
