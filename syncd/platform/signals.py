"""Calls functions in the event loop for signals, during a context.

asyncio's own handlers would leave a moment in which a signal kills the process, and do not exist on Windows.
"""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FrameType

END: tuple[signal.Signals, ...]
"""Signals that ask the process to end: from the service manager, Ctrl-C, and a Windows console that is closed."""
if sys.platform == "win32":
    END = signal.SIGTERM, signal.SIGINT, signal.SIGBREAK
    RELOAD: tuple[signal.Signals, ...] = ()
else:
    END = signal.SIGTERM, signal.SIGINT
    RELOAD = (signal.SIGHUP,)


@contextmanager
def calling(functions: Mapping[signal.Signals, Callable[[], object]]) -> Generator[None]:
    """Call the function of each signal during the context, then restore the former handlers.

    Does nothing outside the main thread, as in a Windows service, because signals arrive in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def handler(function: Callable[[], object]) -> Callable[[int, FrameType | None], object]:
        return lambda _number, _frame: loop.call_soon_threadsafe(function)

    before = {number: signal.signal(number, handler(function)) for number, function in functions.items()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
