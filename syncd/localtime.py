"""Local time by the time zone that holds now: the C library looks for another one only when it is told to."""

import sys
import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present local time, with its offset."""
    return at(datetime.now(UTC))


def at(moment: datetime) -> datetime:
    """Return an instant, which has an offset, in local time."""
    if sys.platform != "win32":
        time.tzset()  # a few microseconds: it reads a zone only where TZ or /etc/localtime has changed
    return moment.astimezone()
