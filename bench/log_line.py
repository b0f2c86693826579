"""Measures the CPU time of one log line: JSON to a file, JSON and console to a stream, and a line below the level.

    .venv/bin/python bench/log_line.py [--lines 20000] [--rounds 7] [--against CHECKOUT]

Prints the lowest CPU time per line of all rounds, in microseconds. ``--against`` measures another checkout of syncd in
alternating rounds, and prints the ratio of this checkout to that one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from syncd import logs

SECRET = "a-token-that-no-line-contains"


@dataclass(frozen=True, kw_only=True)
class LogFile:
    path: Path
    max_size: int = 10 * 1024 * 1024
    keep: int = 1


def measure(lines):
    """Return the microseconds per line of each form, measured in this process."""
    log = structlog.get_logger()

    def timed(level, **settings):
        logs.configure(secrets=[SECRET], **settings)
        write = getattr(log, level)
        write("job.done", path="first.jpg")
        started = time.process_time()
        for number in range(lines):
            write("job.done", path="/srv/photos/a picture.jpg", remote="drive", job=number, bytes=204_800)
        return (time.process_time() - started) / lines * 1e6

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:
        file = LogFile(path=Path(folder) / "syncd.log")
        found = {
            "JSON to a stream": timed("info", format="json", stream=null),
            "JSON to a stream and a file": timed("info", format="json", stream=null, file=file),
            "console": timed("info", format="console", stream=null),
            "below the level": timed("debug", format="json", stream=null, file=file),
        }
        logs.close()
    return found


def measure_checkout(checkout, lines):
    """Return the result of :func:`measure` with the code of a checkout, in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--lines", str(lines), "--child"],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.lines)))
        return
    checkouts = [Path(__file__).parents[1], *([given.against.resolve()] if given.against else [])]
    rounds = [[measure_checkout(checkout, given.lines) for checkout in checkouts] for _ in range(given.rounds)]
    for form in rounds[0][0]:
        best = [min(round_[index][form] for round_ in rounds) for index in range(len(checkouts))]
        ratio = f"  {best[0] / best[1]:.2f} times" if given.against else ""
        print(f"{form:30}" + "".join(f"{value:8.2f} µs" for value in best) + ratio)


if __name__ == "__main__":
    main()
