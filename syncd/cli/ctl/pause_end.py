"""Parses the end of a pause for ``syncd ctl stop --for`` and ``--until``.

The text is local time, and the result has a zone: the daemon compares instants, so a change of the clock between summer
and winter time shifts nothing.
"""

import re
from datetime import UTC, date, datetime, time, timedelta

import click

from syncd import localtime
from syncd.cli.formatting import clean
from syncd.config.units import parse_duration

_TIME = re.compile(r"(?:(\d{4}-\d{2}-\d{2})[ T])?(\d{1,2}:\d{2})")
_TIME_ADVICE = 'write a time such as 07:00 or "2026-12-01 07:00"'


def after(text: str, now: datetime) -> datetime:
    """Return the end of a pause that takes as long as ``text`` says, such as ``2h``.

    Raises :class:`click.BadParameter`.
    """
    try:
        seconds = parse_duration(text)
        end = now + timedelta(seconds=seconds)
    except ValueError as error:
        raise click.BadParameter(f"{clean(text)}: {error}") from None
    except OverflowError:
        raise click.BadParameter(f"{clean(text)}: too long; leave --for out to stop until syncd ctl start") from None
    if seconds < 1:
        raise click.BadParameter(f"{clean(text)}: too short; write at least 1s")
    return end


def next_occurrence(text: str, now: datetime) -> datetime:
    """Return the next moment at which local clocks show ``text``.

    ``text`` is ``07:00``, or a time with a date.

    A time that clocks skip in spring is the moment an hour later on the clock. Of two moments in autumn with the same
    time, the first one after ``now`` counts. Raises :class:`click.BadParameter`.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{clean(text)}: {_TIME_ADVICE}")
    try:
        at = time.fromisoformat(match[2].zfill(5))
        days = [date.fromisoformat(match[1])] if match[1] else _today_and_tomorrow(now)
        moments = [moment for day in days for moment in _moments(datetime.combine(day, at))]
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{clean(text)}: {_TIME_ADVICE}") from None
    for moment in moments:
        if moment > now:
            return moment
    raise click.BadParameter(f"{clean(text)} has passed; write a time in the future")


def _moments(local: datetime) -> list[datetime]:
    """Return the moments at which clocks show ``local``, in UTC.

    There are two in the hour that clocks repeat in autumn.
    """
    # Not astimezone(): in the hour that is skipped, it swaps the two.
    first, second = (datetime.fromtimestamp(local.replace(fold=fold).timestamp(), UTC) for fold in (0, 1))
    return [first, second] if second > first else [first]  # in the hour that is skipped, the second would be earlier


def _today_and_tomorrow(now: datetime) -> list[date]:
    today = localtime.at(now).date()
    return [today, today + timedelta(days=1)]
