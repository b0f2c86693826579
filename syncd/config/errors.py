"""The problems of a configuration, and the exceptions that report them."""

from dataclasses import dataclass
from pathlib import Path

from syncd.core.text import escape_unsafe
from syncd.platform import private, user

_MAX_HEAD_CHARACTERS, _MAX_TAIL_CHARACTERS = 800, 200
"""A long message is cut to its beginning and its end; the end has the fix."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One error or risk. `message` names the problem and its fix, and contains no secret."""

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    key: str = ""
    """Dotted path, as `remotes.drive.url`."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        message = self.message
        if len(message) > _MAX_HEAD_CHARACTERS + _MAX_TAIL_CHARACTERS:
            message = f"{message[:_MAX_HEAD_CHARACTERS]} … {message[-_MAX_TAIL_CHARACTERS:]}"
        text = ": ".join(part for part in (place, self.key, message) if part)
        return escape_unsafe(text)


class ConfigError(Exception):
    """The configuration cannot be used. The text has one line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class NoHomeError(ConfigError):
    """A path below the home folder is needed, but this user has no home.

    A user id without an account, as in a container, has none. ``advice`` names the setting that makes HOME unnecessary.
    """

    def __init__(self, advice: str) -> None:
        number = user.uid()
        who = "this user" if number is None else f"this user (uid {number})"
        super().__init__(Problem(message=f"{who} has no home folder — {advice}, or set HOME"))


class ForbiddenError(ConfigError):
    """This user may not read the configuration file. The message names ways to gain access."""

    def __init__(self, path: Path) -> None:
        message = f"permission denied — {', '.join(private.access_advice(path))}, or name another file with -c"
        super().__init__(Problem(file=str(path), message=message))
