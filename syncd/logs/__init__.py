"""One line a log event: to standard error or the journal, and to a rotated file if there is one.

Loggers are structlog's own, cached on first use. What can change at a reload (level, formats, sinks, secrets) lies
behind them in one object and on their class, so that a cached logger follows at once. Libraries that use the standard
library's logging come out of the same door. Every event is masked and made safe for one line before it is rendered;
a sink that fails is never the program's problem.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

import structlog
from structlog.typing import EventDict

from syncd.core.redact import Redactor
from syncd.logs.buffer import Ring
from syncd.logs.file import LogFile, RotatedFile
from syncd.logs.format import Render, document, render_console, render_json
from syncd.logs.journald import Journal

LIBRARY_EVENT = "library"
"""Event name of what a library had to say."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_SURROGATES = re.compile("[\ud800-\udfff]")


class Settings(Protocol):
    """How to log; the section `logging` of a configuration is one."""

    @property
    def level(self) -> str: ...  # noqa: D102
    @property
    def format(self) -> str: ...  # noqa: D102
    @property
    def file(self) -> RotatedFile | None: ...  # noqa: D102


class Configured(Protocol):
    """What knows how to log, and what must not be seen there; a whole configuration is one."""

    @property
    def logging(self) -> Settings: ...  # noqa: D102
    def secrets(self) -> Iterable[str]: ...  # noqa: D102


def configure_from(config: Configured, *, stream: TextIO | None = None) -> None:
    """Log as a configuration says, and mask its secrets. As `configure` in all else."""
    wanted = config.logging
    configure(level=wanted.level, format=wanted.format, file=wanted.file, stream=stream, secrets=config.secrets())


def configure(
    *,
    level: str = "info",
    format: str = "auto",  # noqa: A002 — the configuration's own word
    file: RotatedFile | None = None,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Set up all logging, or change it while it runs; secrets of earlier calls stay masked.

    `level` is debug, info, warning or error. `format` is console, json or auto: console where `stream`
    (default: standard error) is a terminal, entries with fields where it leads to systemd's journal, else JSON.
    A file gets JSON unless the format is console.
    OSError when the file can't be opened; logging then is as it was before.
    """
    opened = None if file is None else LogFile(file)
    stream = sys.stderr if stream is None else stream
    _outlet.open(
        stream=stream,
        journal=Journal.behind(stream) if format == "auto" else None,
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
        processors=_PROCESSORS,
        wrapper_class=_Logger,
        logger_factory=lambda *_: _outlet,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    if _bridge not in logging.root.handlers:
        logging.root.addHandler(_bridge)


def conceal(secrets: Iterable[str]) -> None:
    """Redactor these secrets too from now on."""
    _outlet.conceal(secrets)


def alert(function: Callable[[Mapping[str, Any]], None]) -> None:
    """Have ``function`` told of each warning and error too, masked as all else, until :func:`close`."""
    _outlet.alert = function


def close() -> None:
    """Close the file and forget the secrets; what is logged later goes nowhere."""
    logging.captureWarnings(capture=False)
    logging.root.removeHandler(_bridge)
    _set_level("debug")
    _outlet.close()


class _Logger(structlog.make_filtering_bound_logger("debug")):  # type: ignore[misc] # a class made at run time
    """Every cached logger's class: a level that is off is a method that does nothing, set here."""


def _set_level(level: str) -> None:
    for name, number in LEVELS.items():
        if number < LEVELS[level]:
            setattr(_Logger, name, _nothing)
        elif name in vars(_Logger):
            delattr(_Logger, name)


def _nothing(_logger: Any, _event: str | None = None, *_args: Any, **_values: Any) -> None:
    """Stand in for a level that is off."""


class _Outlet:
    """What stands behind all loggers: the sinks, their formats, and what to mask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: TextIO | None = None
        self._journal: Journal | None = None
        self._file: LogFile | None = None
        self._render: Render = render_json
        self._render_file: Render = render_json
        self._secrets: set[str] = set()
        self.mask = Redactor()
        self.tracebacks = False
        self.alert: Callable[[Mapping[str, Any]], None] | None = None

    def open(
        self,
        *,
        stream: TextIO | None,
        journal: Journal | None,
        render: Render,
        file: "LogFile | None",
        render_file: Render,
        tracebacks: bool,
        secrets: Iterable[str],
    ) -> None:
        with self._lock:
            self._close_sinks()
            self._stream, self._journal, self._render = stream, journal, render
            self._file, self._render_file = file, render_file
            self.tracebacks = tracebacks
            self._secrets.update(secrets)
            self.mask = Redactor(self._secrets)

    def conceal(self, secrets: Iterable[str]) -> None:
        with self._lock:
            self._secrets.update(secrets)
            self.mask = Redactor(self._secrets)

    def close(self) -> None:
        with self._lock:
            self._close_sinks()
            self._stream = self._journal = self._file = self.alert = None
            self._secrets.clear()
            self.mask = Redactor()
        recent.clear()

    def write(self, /, **event: Any) -> None:
        """Render an event to each sink. Never raises for a sink that fails."""
        with self._lock:
            if self._stream is not None and not (self._journal and self._journal.send(event)):
                _write_line(self._stream, self._render(event))
            if self._file is not None:
                self._file.write_line(self._render_file(event))
        if self.alert and LEVELS[event["level"]] >= LEVELS["warning"]:
            self.alert(event)
        recent.add(event)

    debug = info = warning = error = critical = write

    def _close_sinks(self) -> None:
        if self._journal is not None:
            self._journal.close()
        if self._file is not None:
            self._file.close()


def _write_line(stream: TextIO, line: str) -> None:
    with suppress(OSError, ValueError):  # a broken pipe, a closed stream
        try:
            stream.write(line + "\n")
        except UnicodeEncodeError:
            stream.write(line.encode("ascii", "backslashreplace").decode("ascii") + "\n")
        stream.flush()


class _Bridge(logging.Handler):
    """Takes what libraries log by the standard library, from warnings on."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        level = next((name for name in reversed(LEVELS) if record.levelno >= LEVELS[name]), "debug")
        method = getattr(_library, level)
        method(LIBRARY_EVENT, logger=record.name, message=message, exc_info=record.exc_info)


def _stamp(_logger: Any, method: str, event: EventDict) -> EventDict:
    """Begin the event with its time, level and name."""
    return {"timestamp": datetime.now(UTC), "level": method, "event": event.pop("event", None), **event}


def _tell_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Put an exception into `error` as type and message; how it came about is for debugging only."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else (info if isinstance(info, tuple) else sys.exc_info())[1]
    if error is not None:
        event.setdefault("error", error)
        if _outlet.tracebacks:
            event["traceback"] = "".join(traceback.format_exception(error))
    return event


def _make_safe(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Redactor every secret, and turn every value into what JSON has."""
    return {key: value if key == "timestamp" else _safe(value) for key, value in event.items()}


def _safe(value: Any) -> Any:
    match value:
        case str():
            return _safe_text(value)
        case bool() | int() | None:
            return value
        case float():
            return value if abs(value) < float("inf") else str(value)
        case Mapping():
            return {_safe_text(str(key)): _safe(below) for key, below in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_safe(below) for below in value]
        case bytes() | os.PathLike():
            return _safe_text(os.fsdecode(value))
        case BaseException():
            return _safe_text(f"{type(value).__name__}: {value}".removesuffix(": "))
    return _safe_text(str(value))


def _safe_text(text: str) -> str:
    """Redactor the secrets; show a byte that is not UTF-8 as its number in hex."""
    text = _outlet.mask(text)
    return text if text.isascii() else _SURROGATES.sub(_escaped_surrogate, text)


def _escaped_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def latest(*, limit: int, level: str = "debug", event: str = "", text: str = "") -> list[dict[str, Any]]:
    """Return the last events of at least ``level``, oldest first, as JSON has them.

    Their names begin with ``event``; ``text`` is in the line that a person would read, in whatever case.
    """
    line, wanted = render_console(colours=False), text.lower()
    found = [
        one
        for one in recent.events()
        if LEVELS[one["level"]] >= LEVELS[level]
        and str(one["event"]).startswith(event)
        and (not wanted or wanted in line(dict(one)).lower())
    ]
    return [document(one) for one in found[-limit:]]


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(AttributeError, ValueError):
        return stream is not None and stream.isatty()
    return False


def _has_colours(stream: TextIO | None) -> bool:
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


recent = Ring()
"""What was logged last."""

_PROCESSORS: list[structlog.typing.Processor] = [_stamp, _tell_exception, _make_safe]
_outlet = _Outlet()
_bridge = _Bridge(level=logging.WARNING)
_library = structlog.get_logger()
