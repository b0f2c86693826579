"""Runs syncd as a child process that ends with its parent but ignores its Ctrl-C."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from syncd.cli.serve import TOKEN_VARIABLE
from syncd.platform.child_process import DETACHED, ended_with_parent

Child = subprocess.Popen[str]
STOP_TIMEOUT_SECONDS = 10.0
"""Longest time until a child has ended, after which it is killed."""


@contextmanager
def child(log: str, *arguments: str, end: Callable[[Child], object] = Child.terminate) -> Generator[Child]:
    """Run syncd during the context, with standard error in the file ``log``.

    ``end`` asks the process to end; it is killed after :data:`STOP_TIMEOUT_SECONDS`.
    """
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    with open(log, "w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "syncd", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env=environment,
            **DETACHED,
        )
    with process, ended_with_parent(process):
        try:
            yield process
        finally:
            end(process)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
