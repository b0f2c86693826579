"""Signals that call a function in the event loop, for as long as a context lasts.

The loop's own handlers would leave a moment at which a signal kills, and on Windows it has none.
"""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FrameType

END: tuple[signal.Signals, ...]
"""What asks a process to end: of the service manager, of Ctrl-C, and of a console of Windows that is being closed."""
if sys.platform == "win32":
    END = signal.SIGTERM, signal.SIGINT, signal.SIGBREAK
    RELOAD: tuple[signal.Signals, ...] = ()
else:
    END = signal.SIGTERM, signal.SIGINT
    RELOAD = (signal.SIGHUP,)


@contextmanager
def calling(functions: Mapping[signal.Signals, Callable[[], object]]) -> Generator[None]:
    """Have each signal call its function; afterwards whoever handled it before does so again.

    Beside the main thread, as in a service of Windows, there are no signals to handle, and nothing is done.
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
