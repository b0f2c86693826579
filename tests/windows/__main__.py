"""`python -m tests.windows [arguments of pytest]`: the tests that make sense on Windows, run there."""

import os
import sys

from tests.systemd.packages import Unreachable
from tests.windows.prepare import prepare, windows

TESTS = [f"tests/{room}" for room in ("windows", "core", "config", "engine", "store", "remote", "preview")]
"""Tests of Windows, and the rooms that files pass; what asks for more than Windows has is marked ``unix``."""


def main() -> int:
    """Prepare and run; 0 where that can't be, but not without a word."""
    try:
        prepare()
    except Unreachable as error:
        print(f"*** NOT TESTED: syncd on Windows, as packages can't be fetched.\n*** {error}", file=sys.stderr)
        return 0
    chosen = [] if any(os.path.exists(word.partition("::")[0]) for word in sys.argv[1:]) else TESTS
    return windows("-m", "pytest", "-o", "cache_dir=build/windows/cache", *sys.argv[1:], *chosen)


sys.exit(main())
