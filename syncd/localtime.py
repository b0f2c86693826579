"""Local time that follows a change of the system's time zone while the process runs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_reread_time_zone: Callable[[], None] = getattr(time, "tzset", lambda: None)  # Windows has none


def now() -> datetime:
    """Return the current local time, with its UTC offset."""
    return at(datetime.now(UTC))


def minute(moment: datetime, today: datetime | None = None) -> str:
    """Return a time for people, to the minute.

    The text is like ``07:00`` for a time today, and otherwise has the date.
    """
    local = at(moment)
    return f"{local:%H:%M}" if local.date() == at(today or now()).date() else f"{local:%Y-%m-%d %H:%M}"


def at(moment: datetime) -> datetime:
    """Convert an aware datetime to local time."""
    _reread_time_zone()  # takes microseconds: the C library reads the zone again only if TZ or /etc/localtime changed
    return moment.astimezone()
