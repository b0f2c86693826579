"""What is wrong with a configuration, and where: the one exception that reading it raises."""

import os
import re
import sys
from dataclasses import dataclass

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN, _ADVICE = 800, 200
"""Characters of a long message that are shown, of its beginning and of its end, which says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong or risky. `message` says what it is and what to do, and holds no secret."""

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    key: str = ""
    """Dotted path, as `remotes.drive.url`."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        message = self.message
        if len(message) > _SHOWN + _ADVICE:
            message = f"{message[:_SHOWN]} … {message[-_ADVICE:]}"
        text = ": ".join(part for part in (place, self.key, message) if part)
        return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class ConfigError(Exception):
    """The configuration can't be used. Its text has one line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class NoHomeError(ConfigError):
    """A path below the user's home is needed, and this user has none: as in a container, by a bare number.

    ``advice`` says what to set instead of HOME.
    """

    def __init__(self, advice: str) -> None:
        super().__init__(Problem(message=f"this user{_number()} has no home folder — {advice}, or set HOME"))


class ForbiddenError(ConfigError):
    """This user may not read it."""


def _number() -> str:
    if sys.platform == "win32":
        return ""
    return f" (uid {os.geteuid()})"
