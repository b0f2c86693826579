"""`python -m tests.windows [arguments of pytest]`: the tests that make sense on Windows, run there."""

import sys

from tests.systemd.packages import Unreachable
from tests.windows.prepare import prepare, windows

TESTS = [
    "tests/windows",
    *(f"tests/core/test_{name}.py" for name in ("breaker", "chunks", "filenames", "limits", "retry", "states")),
    *(f"tests/engine/test_{name}.py" for name in ("gate", "line", "scheduler", "throttle", "upload")),
    *(f"tests/store/test_{name}.py" for name in ("claims", "machine", "uploads")),
    "tests/config/test_units.py",
]
"""Tests of Windows, and of others those that ask for nothing that only Unix has: names of bytes, modes, devices."""


def main() -> int:
    """Prepare and run; 0 where that can't be, but not without a word."""
    try:
        prepare()
    except Unreachable as error:
        print(f"*** NOT TESTED: syncd on Windows, as packages can't be fetched.\n*** {error}", file=sys.stderr)
        return 0
    return windows("-m", "pytest", "-p", "no:cacheprovider", *(sys.argv[1:] or TESTS))


sys.exit(main())
