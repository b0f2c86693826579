"""Formats sizes, durations, counts and texts of other programs for the terminal."""

from collections.abc import Mapping
from typing import Any

from syncd.core.text import count, terminal_safe

__all__ = ["clean", "count", "duration", "next_attempt", "size", "sync_progress"]

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def clean(text: object) -> str:
    """Return the text on one line, with control and direction characters escaped."""
    return terminal_safe(str(text))


def size(count: float) -> str:
    """Return a number of bytes as ``512 B``, ``1.2 MiB`` or ``34 GiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    power = 1
    while count >= 1023.5 * 1024**power and power < len(_UNITS):
        power += 1
    value, unit = count / 1024**power, _UNITS[power - 1]
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """Return seconds as ``0.4 s``, ``3 min 20 s``, ``2 h 5 min`` or ``3 d 4 h``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, length, subunit, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest = whole % length // part
            return f"{whole // length} {unit}" + (f" {rest} {subunit}" if rest else "")
    return f"{whole} s"


def next_attempt(seconds: float | None) -> str:
    """Return when a remote is tried again, as the end of a clause; empty for None."""
    if seconds is None:
        return ""
    return f", next try in {duration(seconds)}" if seconds >= 1 else ", trying now"


def left_out(files: int, videos: int) -> str:
    """Return how many files the patterns leave out.

    The text is like ``14 files left out by patterns (3 videos)``.
    """
    return f"{count(files, 'file')} left out by patterns" + (f" ({count(videos, 'video')})" if videos else "")


def sync_progress(sync: Mapping[str, Any] | None) -> str:
    """Return the field ``sync`` of a status document as a text.

    The text is like ``12,340 of 40,011 done``, and empty if no work remains.
    """
    if not sync or sync["settled"]:
        return ""
    parts = [f"{sync['done']:,} of {sync['total']:,} done"] if sync["total"] else []
    if sync["settling"]:
        parts.append(f"{count(sync['settling'], 'file')} still being written")
    elif sync["scanning"]:
        parts.append("still scanning")
    return ", ".join(parts)
