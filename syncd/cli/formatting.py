"""Numbers and texts as people read them."""

import re

from syncd.core.text import printable

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Return text from elsewhere on one line, with nothing in it that could move the cursor or turn the line around."""
    return _DIRECTION.sub(lambda match: f"\\u{ord(match[0]):04x}", printable(str(text)))


def size(count: float) -> str:
    """Bytes, as ``512 B``, ``1.2 MiB``, ``34 GiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    power = 1
    while count >= 1023.5 * 1024**power and power < len(_UNITS):
        power += 1
    value, unit = count / 1024**power, _UNITS[power - 1]
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """Seconds, as ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, length, lesser, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def count(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``, ``1,000 files``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
