"""Formats a log event as JSON for programs, or as a console line for people."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from structlog.typing import EventDict

from syncd import localtime
from syncd.core.text import escape_unsafe

HEAD = {"timestamp", "level", "event"}
"""The keys that every event has."""
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_RESET = "\x1b[0m"
_BARE = re.compile(r"[^\s\"'=\\]+")

_encode = json.JSONEncoder(ensure_ascii=False).encode

Render = Callable[[EventDict], str]


def document(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a JSON object, with its time as an ISO 8601 text."""
    return {**event, "timestamp": event["timestamp"].isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def render_json(event: EventDict) -> str:
    r"""Return the event as a JSON object on one line.

    Characters that are unsafe on a terminal, such as those that reverse a name, are escaped as ``\uXXXX``.
    """
    return _shown_text(_encode(document(event)))


def render_console(*, colours: bool) -> Render:
    """Return a renderer of console lines: local time and level, then :func:`words`."""

    def render(event: EventDict) -> str:
        level = event["level"]
        start, end = (_COLOURS[level], _RESET) if colours else ("", "")
        time = localtime.at(event["timestamp"]).isoformat(sep=" ", timespec="milliseconds")[:23]
        return f"{time} {start}{level:<8}{end}{words(event)}"

    return render


def words(event: Mapping[str, Any]) -> str:
    """Return the event's name and ``key=value`` pairs as one line without unsafe characters."""
    rest = (f"{key}={_shown(value)}" for key, value in event.items() if key not in HEAD)
    return " ".join([_shown_text(str(event["event"])), *rest])


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or _BARE.fullmatch(text):
        return _shown_text(text)
    return _shown_text(json.dumps(text, ensure_ascii=False))


def _shown_text(text: str) -> str:
    return text if text.isprintable() else escape_unsafe(text)
