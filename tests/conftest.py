"""What every test runs in: quiet logs, and no home of its own."""

import io
import signal
import sys

import pytest
import structlog

from syncd import logs


def pytest_configure():
    """Have children heed SIGINT even in a run in the background, which inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    """Leave out on Windows what asks for more than it has."""
    if sys.platform == "win32" and item.get_closest_marker("unix"):
        pytest.skip("only Unix has that")


@pytest.fixture(autouse=True)
def _signals():
    """Give back what a command that ran in this process has done to the signals: children would inherit it."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.getsignal(number)) for number in numbers]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _quiet_logs():
    """Render logs as the program does, to nowhere: structlog's own default draws tracebacks, at great cost."""
    logs.configure(level="info", format="json", stream=io.StringIO())
    yield
    logs.close()
    structlog.reset_defaults()
