"""Writes each log event to the sinks.

The sinks are a stream or systemd's journal, a file, a callback for warnings, and the buffer. A sink that fails must not
stop the program, so the router ignores the errors of sinks.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from syncd.core.log_levels import LEVELS
from syncd.core.redact import Redactor
from syncd.logs.buffer import recent
from syncd.logs.file import LogFile
from syncd.logs.format import Render, render_json
from syncd.logs.journald import Journald


class Router:
    """The target of all structlog loggers: has the sinks, their formats and the secrets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: TextIO | None = None
        self._journal: Journald | None = None
        self._file: LogFile | None = None
        self._render: Render = render_json
        self._render_file: Render = render_json
        self._secrets: set[str] = set()
        self.redact = Redactor()
        self.tracebacks = False
        self.on_warning: Callable[[Mapping[str, Any]], None] | None = None

    def open(
        self,
        *,
        stream: TextIO | None,
        journal: Journald | None,
        render: Render,
        file: LogFile | None,
        render_file: Render,
        tracebacks: bool,
        secrets: Iterable[str],
    ) -> None:
        """Close the current sinks and use these.

        ``tracebacks`` adds a traceback to each event with an exception.
        """
        with self._lock:
            self._close_sinks()
            self._stream, self._journal, self._render = stream, journal, render
            self._file, self._render_file = file, render_file
            self.tracebacks = tracebacks
            self._secrets.update(secrets)
            self.redact = Redactor(self._secrets)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Redact these secrets too, in all later events."""
        with self._lock:
            self._secrets.update(secrets)
            self.redact = Redactor(self._secrets)

    def close(self) -> None:
        """Close the sinks and forget the secrets."""
        with self._lock:
            self._close_sinks()
            self._stream = self._journal = self._file = self.on_warning = None
            self._secrets.clear()
            self.redact = Redactor()

    def write(self, /, **event: Any) -> None:
        """Write an event to each sink. Ignore a sink that fails."""
        with self._lock:
            if self._stream is not None and not (self._journal and self._journal.send(event)):
                _write_line(self._stream, self._render(event))
            if self._file is not None:
                self._file.write_line(self._render_file(event))
        if self.on_warning and LEVELS[event["level"]] >= LEVELS["warning"]:
            self.on_warning(event)
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


router = Router()
