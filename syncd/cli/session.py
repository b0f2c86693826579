"""What stands around a command that works on the state folder: logging, the lock, and errors put into words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

from syncd import logs
from syncd.cli.errors import Exit, Fault
from syncd.config import paths
from syncd.config.load import Loaded
from syncd.control.unix_server import SocketUnavailableError
from syncd.platform import user
from syncd.platform.lock import AlreadyRunning, StateLock
from syncd.store.errors import StoreError

log = structlog.get_logger()

_WRONG_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT}
"""How it fails to make a folder below a home that is none, as the ``/`` that containers give to a bare number."""


@contextmanager
def working(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Log to ``stream`` (default: standard error) and hold the state folder as long as the context lasts."""
    logs.configure_from(loaded.config, stream=stream)
    with _in_words(), _state_lock(loaded):
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


def _state_lock(loaded: Loaded) -> StateLock:
    """Return the lock of the state folder, which is there then; a fault where nobody chose it and it can't be made."""
    folder = loaded.config.state_dir
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        if error.errno not in _WRONG_PLACE or folder != paths.state_dir(loaded.path):
            raise
        raise Fault(
            f"the state folder {folder} can't be made: {(error.strerror or '').lower()}; "
            f"set state_dir in {loaded.path} to a folder that user {user.own_name()} may write to, or HOME to its home",
            code=Exit.BAD_CONFIG,
        ) from None
    return StateLock(folder)


@contextmanager
def _in_words() -> Iterator[None]:
    """Put errors into words, and end the logging."""
    try:
        yield
    except (AlreadyRunning, SocketUnavailableError) as error:
        raise Fault(str(error), code=Exit.BUSY) from None
    except StoreError as error:
        raise Fault(str(error), code=Exit.BAD_DATA) from None
    finally:
        logs.close()
