"""The session of a command that works on the state folder: configuration, logging, state lock and error translation.

``syncd.cli.options`` has what the light commands need; this module loads the complete configuration and the store.
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
from syncd.store.errors import StoreError
from syncd.store.records import PathScope

log = structlog.get_logger()

_NO_USABLE_HOME = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT}
"""Errors of ``makedirs`` below a home folder that does not exist, such as ``/`` for a user without a passwd entry."""


def load_config(config: str | None) -> Loaded:
    """Load the file given with ``-c``, or the default one. Raises :class:`CommandError` with all its problems."""
    try:
        return load(find(config))
    except ConfigError as error:
        raise bad_config(error) from None


def watched_paths(loaded: Loaded, paths: Sequence[str]) -> list[PathScope]:
    """Return the places of ``paths`` in the watched folders; no paths mean all folders.

    Raises :class:`CommandError` for a path outside the watched folders.
    """
    try:
        return find_scopes(loaded.config, [os.path.abspath(path) for path in paths])
    except NotWatchedError as error:
        raise CommandError(str(error), code=ExitCode.FAILED) from None


@contextmanager
def locked_session(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Lock the state folder and log to ``stream`` (default: standard error) and the log file during the context."""
    logs.configure_from(loaded.config, stream=stream)
    with _translated_errors(), _state_lock(loaded):
        for warning in loaded.warnings:
            log.warning("config.warning", detail=warning)
        yield


@contextmanager
def readonly_session(loaded: Loaded, *, stream: TextIO | None = None) -> Iterator[None]:
    """Log to ``stream`` (default: standard error) during the context, without the lock.

    A daemon may run at the same time, so nothing is written to its log file.
    """
    wanted = loaded.config.logging
    logs.configure(level=wanted.level, format=wanted.format, stream=stream, secrets=loaded.config.secrets())
    with _translated_errors():
        yield


def _state_lock(loaded: Loaded) -> StateLock:
    """Create the state folder if it is missing and return its lock.

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
def _translated_errors() -> Iterator[None]:
    """Raise known errors as :class:`CommandError`, and close the logs at the end."""
    try:
        yield
    except (AlreadyRunningError, SocketUnavailableError) as error:
        raise CommandError(str(error), code=ExitCode.BUSY) from None
    except StoreError as error:
        raise CommandError(str(error), code=ExitCode.BAD_DATA) from None
    finally:
        logs.close()
