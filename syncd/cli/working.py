"""What stands around a command that works on the state folder: logging, the lock, and errors put into words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

from syncd import logs
from syncd.cli.faults import Exit, Fault
from syncd.config.load import Loaded
from syncd.control.server import SocketInUse
from syncd.host.lock import AlreadyRunning, StateLock
from syncd.store.errors import StoreError

log = structlog.get_logger()


@contextmanager
def working(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Log to ``stream`` (default: standard error) and hold the state folder as long as the context lasts."""
    logs.configure_from(loaded.config, stream=stream)
    with _in_words(), StateLock(loaded.config.state_dir):
        for warning in loaded.warnings:
            log.warning("config.warning", detail=warning)
        yield


@contextmanager
def reading(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Log to ``stream`` (default: standard error), and not to the log file: a daemon may be at work beside this."""
    wanted = loaded.config.logging
    logs.configure(level=wanted.level, format=wanted.format, stream=stream, secrets=loaded.config.secrets())
    with _in_words():
        yield


@contextmanager
def _in_words() -> Iterator[None]:
    """Put errors into words, and end the logging."""
    try:
        yield
    except (AlreadyRunning, SocketInUse) as error:
        raise Fault(str(error), code=Exit.BUSY) from None
    except StoreError as error:
        raise Fault(str(error), code=Exit.BAD_DATA) from None
    finally:
        logs.close()
