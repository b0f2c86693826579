"""How a log event is written down: as JSON for programs, or as a line for people."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from structlog.typing import EventDict

from syncd import localtime

HEAD = {"timestamp", "level", "event"}
"""What every event begins with."""
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_RESET = "\x1b[0m"
_LINE_BREAKERS = re.compile("[\x7f-\x9f\u2028\u2029]")
_UNSAFE_ON_TERMINAL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_BARE = re.compile(r"[^\s\"'=\\]+")

Render = Callable[[EventDict], str]


def document(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as JSON has it."""
    return {**event, "timestamp": event["timestamp"].isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def render_json(event: EventDict) -> str:
    """One JSON object, on one line by everybody's idea of a line."""
    line = json.dumps(document(event), ensure_ascii=False)
    return line if line.isascii() else _LINE_BREAKERS.sub(_escaped, line)


def render_console(*, colours: bool) -> Render:
    """Local time, level, event, then `key=value`; nothing in a value can move the cursor."""

    def render(event: EventDict) -> str:
        level = event["level"]
        start, end = (_COLOURS[level], _RESET) if colours else ("", "")
        time = localtime.at(event["timestamp"]).isoformat(sep=" ", timespec="milliseconds")[:23]
        return f"{time} {start}{level:<8}{end}{words(event)}"

    return render


def words(event: Mapping[str, Any]) -> str:
    """Return the event's name, then `key=value`, on one line that nothing in a value can break."""
    rest = (f"{key}={_shown(value)}" for key, value in event.items() if key not in HEAD)
    return " ".join([_shown_text(str(event["event"])), *rest])


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or _BARE.fullmatch(text):
        return _shown_text(text)
    return _shown_text(json.dumps(text, ensure_ascii=False))


def _shown_text(text: str) -> str:
    return text if text.isprintable() else _UNSAFE_ON_TERMINAL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
