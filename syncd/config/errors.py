"""What is wrong with a configuration, and where: the one exception that reading it raises."""

from dataclasses import dataclass


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
        text = ": ".join(part for part in (place, self.key, self.message) if part)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class ConfigError(Exception):
    """The configuration can't be used. Its text has one line for each problem."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
