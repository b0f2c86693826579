"""How values are written back: as they would stand in the file, and secrets not at all.

A section's `model_dump(mode="json", by_alias=True)` is what a person may be shown.
"""

from datetime import datetime, timedelta
from pathlib import Path

from pydantic import PlainSerializer

from syncd.config.units import format_duration, format_rate, format_size
from syncd.core.text import printable

MASKED = "••••"
"""Stands for any secret, whatever its length."""


def _limit(rate: float | None) -> str:
    if rate is None:
        return "unlimited"
    return format_rate(rate) if rate else "off"


def _minute(of_day: int) -> str:
    return f"{of_day // 60:02}:{of_day % 60:02}"


def _expiry(value: timedelta | datetime) -> str:
    return format_duration(value.total_seconds()) if isinstance(value, timedelta) else value.isoformat()


def _path(path: str | Path) -> str:
    return printable(str(path))


SIZE = PlainSerializer(format_size, when_used="json")
DURATION = PlainSerializer(format_duration, when_used="json")
LIMIT = PlainSerializer(_limit, when_used="json")
MINUTE = PlainSerializer(_minute, when_used="json")
EXPIRY = PlainSerializer(_expiry, when_used="json")
PATH = PlainSerializer(_path, when_used="json")
SECRET = PlainSerializer(lambda _: MASKED, return_type=str, when_used="json")
