"""Loads the configuration and opens the state folder for a command.

``run``, ``once``, ``verify`` and ``restore`` work on the state folder themselves; ``syncd ctl`` asks the daemon, and
does not import this slow module. While the folder is open, logging is configured, and known errors are raised as
:class:`CommandError`.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import structlog

from syncd import logs
from syncd.cli.errors import CommandError, ExitCode, bad_config
from syncd.config import paths
from syncd.config.load import ConfigError, Loaded, find, load
from syncd.control.unix_server import SocketUnavailableError
from syncd.platform import user
from syncd.platform.lock import AlreadyRunningError, StateLock
from syncd.recovery.fetch import NotWatchedError, find_scopes
from syncd.store.copies import PathScope
from syncd.store.errors import StoreError

log = structlog.get_logger()

_NO_USABLE_HOME = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT}
"""Errors of ``makedirs`` below an unusable home folder, such as ``/`` of a user without a passwd entry."""


def load_config(config: str | None) -> Loaded:
    """Load the configuration file given with ``-c``, or the default file.

    Raises :class:`CommandError` with all problems of the file.
    """
    try:
        return load(find(config))
    except ConfigError as error:
        raise bad_config(error) from None


def watched_paths(loaded: Loaded, paths: Sequence[str]) -> list[PathScope]:
    """Return the scopes of ``paths`` in the watched folders; without paths, of all.

    Raises :class:`CommandError` for a path outside the watched folders.
    """
    try:
        return find_scopes(loaded.config, [os.path.abspath(path) for path in paths])
    except NotWatchedError as error:
        raise CommandError(str(error), code=ExitCode.FAILED) from None


@contextmanager
def open_locked(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Lock the state folder and log to ``stream`` and the log file during the context.

    The default stream is standard error. Raises :class:`CommandError` if another process has locked the folder.
    """
    logs.configure_from(loaded.config, stream=stream)
    with _translate_errors(), _state_lock(loaded):
        for warning in loaded.warnings:
            log.warning("config.warning", detail=warning)
        yield


@contextmanager
def open_readonly(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Log to ``stream`` during the context, without a lock on the state folder.

    The default stream is standard error. A daemon can run at the same time, so nothing is written to its log file.
    """
    settings = loaded.config.logging
    logs.configure(level=settings.level, format=settings.format, stream=stream, secrets=loaded.config.secrets())
    with _translate_errors():
        yield


def _state_lock(loaded: Loaded) -> StateLock:
    """Create the state folder if it does not exist, and return its lock.

    Raises :class:`CommandError` if the default folder cannot be created because the user has no usable home folder.
    """
    folder = loaded.config.state_dir
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        if error.errno not in _NO_USABLE_HOME or folder != paths.state_dir(loaded.path):
            raise
        raise CommandError(
            f"cannot create the state folder {folder}: {(error.strerror or '').lower()}; "
            f"set state_dir in {loaded.path} to a folder that user {user.own_name()} may write to, "
            "or set HOME to the user's home folder",
            code=ExitCode.BAD_CONFIG,
        ) from None
    return StateLock(folder)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise known errors as :class:`CommandError`, and close the logs at the end."""
    try:
        yield
    except (AlreadyRunningError, SocketUnavailableError) as error:
        raise CommandError(str(error), code=ExitCode.BUSY) from None
    except StoreError as error:
        raise CommandError(str(error), code=ExitCode.BAD_DATA) from None
    finally:
        logs.close()
