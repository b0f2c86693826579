"""Runs the tests for Windows under wine: `python -m tests.windows [arguments of pytest]`.

The tests of the service and of commands run in parallel with all others, because they mostly wait for processes.
"""

import io
import os
import shutil
import sys
import threading
from typing import TextIO

from tests.systemd.packages import Unreachable
from tests.windows.prepare import PREFIX, prepare, windows

SHOWN = [
    f"tests/windows/test_{name}.py"
    for name in ("console", "console_output", "dashboard", "demo", "previews", "service")
]
SAME_EVERYWHERE = ("chunk_sizes", "confirmations", "dialects", "dialects_multipart", "many_chunks")
"""Tests of server responses: many, slow under wine, and the same on every system."""
OTHERS = [
    *(f"--ignore={name}" for name in SHOWN),
    *(f"--ignore=tests/remotes/test_{name}.py" for name in SAME_EVERYWHERE),
    *(f"tests/{package}" for package in ("windows", "core", "config", "remotes", "preview")),
    *(
        f"tests/upload/test_{name}.py"
        for name in ("endpoint", "limiter", "scheduler", "source", "throttle", "transfer", "worker")
    ),
    *(f"tests/store/test_{name}.py" for name in ("claims", "user_actions", "files", "pages", "queries", "uploads")),
]
"""The tests of Windows, and of the packages that process files; tests that need Unix are marked ``unix``."""
_NO_TESTS = 5
"""pytest's exit code if no test was selected."""


def main() -> int:
    """Prepare and run; print a warning and return 0 if the packages cannot be fetched."""
    try:
        prepare()
    except Unreachable as error:
        print(f"*** NOT TESTED: syncd on Windows, as packages can't be fetched.\n*** {error}", file=sys.stderr)
        return 0
    if any(os.path.exists(word.partition("::")[0]) for word in sys.argv[1:]):
        return _pytest("named", sys.stdout)
    codes, output = [], io.StringIO()
    thread = threading.Thread(target=lambda: codes.append(_pytest("others", output, *OTHERS)))
    thread.start()
    codes.append(_pytest("shown", sys.stdout, *SHOWN))
    thread.join()
    print(output.getvalue())
    return max((code for code in codes if code != _NO_TESTS), default=_NO_TESTS)


def _pytest(name: str, out: TextIO, *chosen: str) -> int:
    target = PREFIX / "drive_c" / "tests" / name
    shutil.rmtree(target, ignore_errors=True)  # in Unix, where every name in the folder is valid
    target.parent.mkdir(exist_ok=True)
    where = "-o", f"cache_dir=build/windows/cache-{name}", "--basetemp", rf"C:\tests\{name}"
    return windows("-m", "pytest", *where, *sys.argv[1:], *chosen, out=out)


if __name__ == "__main__":
    sys.exit(main())
