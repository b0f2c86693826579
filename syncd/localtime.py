"""Local time that follows a change of the system's time zone while the process runs."""

import sys
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current local time, with its UTC offset."""
    return at(datetime.now(UTC))


def at(moment: datetime) -> datetime:
    """Convert an aware datetime to local time."""
    if sys.platform != "win32":
        time.tzset()  # takes microseconds: the C library reads the zone again only if TZ or /etc/localtime changed
    return moment.astimezone()
