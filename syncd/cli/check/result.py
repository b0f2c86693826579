"""The result of one check of ``syncd check``."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The result of one check: ``where`` names the subject, ``what`` the result, ``advice`` the fix if there is one."""

    level: Level
    where: str
    what: str
    advice: str = ""
