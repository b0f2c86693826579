"""How a command ends when it can't do its work: words for a person, a number for a script."""

import os
from enum import IntEnum

from syncd.config.errors import ConfigError, ForbiddenError


class Exit(IntEnum):
    """What the exit codes mean; those from 64 on are of ``sysexits.h``."""

    OK = 0
    FAILED = 1
    """The work had failures."""
    USAGE = 2
    NOT_RUNNING = 3
    """There is no daemon, as ``systemctl status`` says it."""
    BAD_DATA = 65
    """The job store can't be used."""
    UNAVAILABLE = 69
    """Something that is needed is not there: an address, a disk, an answer."""
    INTERNAL = 70
    """A bug of syncd."""
    BUSY = 75
    """Another instance holds the state folder."""
    DENIED = 77
    """Permission."""
    BAD_CONFIG = 78
    INTERRUPTED = 130
    """Ctrl-C."""


class Fault(Exception):  # noqa: N818 - it is the end of a command, maybe a fine one
    """Ends the command with ``code`` after ``lines`` on standard error: what, where, and what to do."""

    def __init__(self, *lines: str, code: Exit) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


def bad_config(error: ConfigError) -> Fault:
    """Return the fault that ends a command whose configuration can't be used."""
    code = Exit.DENIED if isinstance(error, ForbiddenError) else Exit.BAD_CONFIG
    return Fault(*map(str, error.problems), code=code)


def unforeseen(error: Exception) -> Fault:
    """Return the fault for an error that nobody below has put into words."""
    if isinstance(error, ConfigError):
        return bad_config(error)
    if isinstance(error, PermissionError):
        return Fault(f"{_describe(error)}: check its owner and mode", code=Exit.DENIED)
    if isinstance(error, OSError):
        return Fault(_describe(error), code=Exit.UNAVAILABLE)
    return Fault(
        f"internal error: {type(error).__name__}: {error}; run syncd --debug … for the traceback", code=Exit.INTERNAL
    )


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, str | bytes) else reason
