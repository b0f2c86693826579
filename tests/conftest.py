"""Fixtures and hooks for all tests: quiet logs; only tests marked ``e2e`` start processes."""

import io
import signal
import sys

import hypothesis
import pytest
import structlog

from syncd import logs
from syncd.platform import event_loop

# On a busy machine an example may take any time. With CI set, the profile is Hypothesis' own for that.
hypothesis.settings.register_profile("syncd", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("syncd")


def pytest_configure(config):
    """Install Python's SIGINT handler, because a background job inherits an ignored SIGINT.

    Child processes of the tests would inherit it too, and could not be interrupted.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.hasplugin("xdist"):  # Windows has none
        config.pluginmanager.import_plugin("tests.parallel")


def pytest_runtest_setup(item):
    """Skip tests with the mark ``unix`` on Windows."""
    if sys.platform == "win32" and item.get_closest_marker("unix"):
        pytest.skip("only Unix has that")


_STARTS = frozenset(("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"))
"""The audit events of a process start."""
_started: list[str] = []


def _note_process(event, arguments):
    if event in _STARTS:
        _started.append(f"{event}: {arguments[0]}" if arguments else event)


sys.addaudithook(_note_process)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail a test that starts a process without the mark ``e2e``: ``make check`` stays fast."""
    result = yield
    unmarked = _started and item.get_closest_marker("e2e") is None and sys.platform != "win32"
    assert not unmarked, f"it starts a process ({_started[0]}): mark it e2e"
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Count the started processes separately for each test and its fixtures."""
    _started.clear()
    return (yield)


@pytest.fixture(autouse=True)
def _signals():
    """Restore the signal handlers after each test, because child processes would inherit them."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.getsignal(number)) for number in numbers]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _quiet_logs():
    """Discard the logs, rendered as in the program; structlog's default tracebacks are slow."""
    logs.configure(level="info", format="json", stream=io.StringIO())
    yield
    logs.close()
    structlog.reset_defaults()


def pytest_asyncio_loop_factories():
    """Run the tests in the event loop of the daemon."""
    return {event_loop.new_event_loop.__module__: event_loop.new_event_loop}
