"""Parses and formats sizes, durations and rates.

Sizes are whole bytes, durations seconds, rates bytes a second. Parsing an invalid text raises ValueError with a message
that shows the valid forms.
"""

import re
from decimal import Decimal

SIZE_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
    "TB": 10**12,
    "TiB": 2**40,
}
"""Bytes in each unit. Parsing ignores case."""

DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
"""Milliseconds in each unit."""

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)")
_SIZE_FACTORS = {unit.lower(): factor for unit, factor in SIZE_UNITS.items()}
_SIZE_ADVICE = "write a size such as 512, 48KiB, 5MiB or 10GB"
_DURATION_ADVICE = "write a duration such as 200ms, 30s, 5m, 1h or 30d"
_RATE_ADVICE = "write a rate such as 500KiB/s or 2MiB/s"


def parse_size(text: str) -> int:
    """Parse `5MiB` to 5242880.

    A number without a unit is bytes; a fraction of a byte is dropped.
    """
    return _parse_size(text, _SIZE_ADVICE)


def parse_rate(text: str) -> float:
    """Parse `2MiB/s` to 2097152.0 bytes a second."""
    size, slash, per = text.strip().rpartition("/")
    if not slash or per.strip() != "s":
        raise ValueError(_RATE_ADVICE)
    return float(_parse_size(size, _RATE_ADVICE))


def parse_duration(text: str) -> float:
    """Parse `200ms` to 0.2 seconds. Every number except 0 needs a unit."""
    number, unit = _split(text, _DURATION_ADVICE)
    if not unit and number == 0:
        return 0.0
    if unit not in DURATION_UNITS:
        raise ValueError(_DURATION_ADVICE)
    return float(number * DURATION_UNITS[unit] / 1000)


def format_size(size: int) -> str:
    """Format bytes in the largest unit that keeps the number whole: 5242880 → `5MiB`."""
    unit = min(
        (unit for unit, factor in SIZE_UNITS.items() if unit != "B" and size % factor == 0),
        key=lambda unit: size // SIZE_UNITS[unit],
    )
    return f"{size // SIZE_UNITS[unit]}{unit}"


def format_rate(rate: float) -> str:
    """Format bytes a second as `2MiB/s`."""
    return f"{format_size(int(rate))}/s"


def format_duration(seconds: float) -> str:
    """Format seconds in the largest unit that keeps the number whole: 90 → `90s`, 600 → `10m`.

    Rounds to milliseconds.
    """
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    unit = max(
        (unit for unit, factor in DURATION_UNITS.items() if milliseconds % factor == 0),
        key=DURATION_UNITS.__getitem__,
    )
    return f"{milliseconds // DURATION_UNITS[unit]}{unit}"


def _parse_size(text: str, advice: str) -> int:
    number, unit = _split(text, advice)
    if unit.lower() not in _SIZE_FACTORS:
        raise ValueError(advice)
    return int(number * _SIZE_FACTORS[unit.lower()])


def _split(text: str, advice: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(advice)
    return Decimal(match[1]), match[2]
