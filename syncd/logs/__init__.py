"""Configures the log: one line per event, to a stream or systemd's journal and to a file.

The modules of syncd log with structlog. Libraries log with the standard library, and a handler forwards their warnings.
``processors`` redacts and escapes each event, ``router`` writes it to the sinks, ``buffer`` keeps the latest events.
:func:`configure` can be called again: loggers are cached, but all settings are in the router and in their class.

Handlers of the standard library would double the CPU time of a line with ``ProcessorFormatter`` (1.9 to 2.3 times), and
add 30 to 60 % without it and without caller lookup (``bench/log_line.py``). They would also save no code, because
``RotatingFileHandler`` neither reopens a moved file nor continues with the open one if it can't rotate.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TextIO

import structlog

from syncd.core.log_levels import LEVELS
from syncd.logs.buffer import recent, recent_events
from syncd.logs.file import LogFile, RotatedFile
from syncd.logs.format import render_console, render_json
from syncd.logs.journald import Journald
from syncd.logs.processors import PROCESSORS
from syncd.logs.router import router

__all__ = ["add_secrets", "close", "configure", "configure_from", "on_warning", "recent", "recent_events"]

LIBRARY_EVENT = "library"
"""Name of the events that libraries log."""


class Settings(Protocol):
    """The settings of the log. The section ``logging`` of a configuration has this shape."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def file(self) -> RotatedFile | None: ...


class Configured(Protocol):
    """The log settings and the secrets to redact; a complete configuration has this shape."""

    @property
    def logging(self) -> Settings: ...
    def secrets(self) -> Iterable[str]: ...


def configure_from(config: Configured, *, stream: TextIO | None = None) -> None:
    """Apply the log settings of ``config``, and redact its secrets. See :func:`configure`."""
    wanted = config.logging
    configure(level=wanted.level, format=wanted.format, file=wanted.file, stream=stream, secrets=config.secrets())


def configure(
    *,
    level: str = "info",
    format: str = "auto",  # noqa: A002 - the name of the configuration key
    file: RotatedFile | None = None,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Set up the log, or change its settings while the process runs.

    ``level`` is debug, info, warning or error. ``format`` is console, json or auto: console if ``stream`` (default:
    standard error) is a terminal, journal entries with fields if it is connected to systemd's journal, else JSON. The
    file gets JSON unless the format is console. Secrets of earlier calls stay redacted.

    Raises OSError and changes nothing if the file cannot be opened.
    """
    opened = None if file is None else LogFile(file)
    stream = sys.stderr if stream is None else stream
    router.open(
        stream=stream,
        journal=Journald.detect(stream) if format == "auto" else None,
        render=render_console(colours=_has_colours(stream))
        if format == "console" or (format == "auto" and _is_terminal(stream))
        else render_json,
        file=opened,
        render_file=render_console(colours=False) if format == "console" else render_json,
        tracebacks=level == "debug",
        secrets=secrets,
    )
    _set_level(level)
    structlog.configure(
        processors=PROCESSORS,
        wrapper_class=_Logger,
        logger_factory=lambda *_: router,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    if _bridge not in logging.root.handlers:
        logging.root.addHandler(_bridge)


def add_secrets(secrets: Iterable[str]) -> None:
    """Redact these secrets too, in all later events."""
    router.add_secrets(secrets)


def on_warning(function: Callable[[Mapping[str, Any]], None]) -> None:
    """Call ``function`` with each redacted warning and error, until :func:`close`."""
    router.on_warning = function


def close() -> None:
    """Close the file and forget the secrets; later events are discarded."""
    logging.captureWarnings(capture=False)
    logging.root.removeHandler(_bridge)
    _set_level("debug")
    router.close()
    recent.clear()


def debug_enabled() -> bool:
    """Return whether events of the level debug are logged.

    If not, callers need not compute the fields of such events.
    """
    return "debug" not in vars(_Logger)


class _Logger(structlog.make_filtering_bound_logger("debug")):  # type: ignore[misc] # a class made at run time
    """The class of all loggers. :func:`_set_level` replaces the methods of disabled levels."""


def _set_level(level: str) -> None:
    for name, number in LEVELS.items():
        if number < LEVELS[level]:
            setattr(_Logger, name, _discard)
        elif name in vars(_Logger):
            delattr(_Logger, name)


def _discard(_logger: Any, _event: str | None = None, *_args: Any, **_values: Any) -> None:
    """Discard an event. This function replaces the method of each disabled level."""


class _Bridge(logging.Handler):
    """Forwards the warnings and errors of libraries to the log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        level = next((name for name in reversed(LEVELS) if record.levelno >= LEVELS[name]), "debug")
        method = getattr(_library, level)
        method(LIBRARY_EVENT, logger=record.name, message=message, exc_info=record.exc_info)


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(AttributeError, ValueError):
        return stream is not None and stream.isatty()
    return False


def _has_colours(stream: TextIO | None) -> bool:
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_bridge = _Bridge(level=logging.WARNING)
_library = structlog.get_logger()
