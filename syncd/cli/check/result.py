"""Defines :class:`Finding`, the result of one check of ``syncd check``."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check.

    ``where`` names the subject, ``what`` states the result, and ``advice`` is the fix, empty if none is needed.
    """

    level: Level
    where: str
    what: str
    advice: str = ""
