"""Prepares log events: the structlog processors that run before the router.

They add the time, describe the exception, redact secrets and escape bytes. Afterwards an event contains only JSON
values, except for ``timestamp``, which is a ``datetime``.
"""

import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict

from syncd.core.text import escape_surrogates
from syncd.logs.router import router


def _add_head(_logger: Any, method: str, event: EventDict) -> EventDict:
    """Put the time, the level and the name in front of the other fields."""
    return {"timestamp": datetime.now(UTC), "level": method, "event": event.pop("event", None), **event}


def _describe_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Set ``error`` to the exception, and ``traceback`` to its traceback at level debug."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else (info if isinstance(info, tuple) else sys.exc_info())[1]
    if error is not None:
        event.setdefault("error", error)
        if router.tracebacks:
            event["traceback"] = "".join(traceback.format_exception(error))
    return event


def _make_safe(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Redact every secret, and convert every value to a JSON value."""
    return {
        key: value if type(value) in _SAFE_TYPES or key == "timestamp" else _safe(value) for key, value in event.items()
    }


_SAFE_TYPES = frozenset({bool, int, type(None)})


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
    """Redact the secrets, and escape bytes that are not valid UTF-8."""
    return escape_surrogates(router.redact(text))


PROCESSORS: list[structlog.typing.Processor] = [_add_head, _describe_exception, _make_safe]
