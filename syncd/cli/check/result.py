"""What ``syncd check`` tells of one thing that it has looked at."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing looked at: ``where``, ``what`` was found, and what to do about it."""

    level: Level
    where: str
    what: str
    advice: str = ""
