"""Defines the error that ends a command, and the exit codes.

``docs/reference/commands.md`` documents the exit codes; scripts depend on them.
"""

import os
from enum import IntEnum

from syncd.config.errors import ConfigError, ForbiddenError


class ExitCode(IntEnum):
    """The exit codes of all commands; those from 64 to 78 are from ``sysexits.h``."""

    OK = 0
    FAILED = 1
    """Some of the work failed."""
    USAGE = 2
    NOT_RUNNING = 3
    """The daemon is not running; ``systemctl status`` uses the same code."""
    BAD_DATA = 65
    """The job store cannot be used."""
    UNAVAILABLE = 69
    """A resource is not available: an address, a disk or a server."""
    INTERNAL = 70
    """A bug in syncd."""
    BUSY = 75
    """Another instance has locked the state folder."""
    DENIED = 77
    """A permission is missing."""
    BAD_CONFIG = 78
    TIMED_OUT = 124
    """The given time is over; ``timeout`` uses the same code."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CommandError(Exception):
    """Ends the command with the exit code ``code``.

    Each of ``lines`` states a problem and its fix, and is printed on standard error.
    """

    def __init__(self, *lines: str, code: ExitCode) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


def bad_config(error: ConfigError) -> CommandError:
    """Return the error for an invalid configuration, with a line per problem."""
    code = ExitCode.DENIED if isinstance(error, ForbiddenError) else ExitCode.BAD_CONFIG
    return CommandError(*map(str, error.problems), code=code)


def internal_error(error: Exception) -> CommandError:
    """Return the error for an exception that no module has translated."""
    if isinstance(error, ConfigError):
        return bad_config(error)
    if isinstance(error, PermissionError):
        return CommandError(f"{_describe(error)}; check the owner and mode of the file", code=ExitCode.DENIED)
    if isinstance(error, OSError):
        return CommandError(_describe(error), code=ExitCode.UNAVAILABLE)
    return CommandError(
        f"internal error: {type(error).__name__}: {error}; run syncd --debug … for the traceback",
        code=ExitCode.INTERNAL,
    )


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, str | bytes) else reason
