"""Types of single values: numbers, words, times, paths and patterns.

A value comes as the text in the file, or ready-made from a program. Each type turns the value into bytes, seconds or
absolute paths, or raises ValueError with a message that says what to write. Its serializer writes the value back as it
would stand in the file: a section's `model_dump(mode="json", by_alias=True)` is the configuration to show to a user.
The types with `json_schema_input_type` describe the text in the file for :mod:`syncd.config.json_schema`.
:mod:`syncd.config.remote_values` holds the types that only remotes use.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from syncd.config import gitignore, paths
from syncd.config.units import (
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from syncd.core.text import printable
from syncd.platform import user

MINUTES_PER_DAY = 24 * 60
_MAX_LIFETIME = timedelta(days=36_525)
_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")

OFF_WORDS = ("off", "no", "false", "never")
ON_WORDS = ("on", "yes", "true")

_SizeText = Annotated[str, Field(pattern=r"^ *[0-9]+(\.[0-9]+)? ?([kKmMgGtT]?[iI]?[bB])? *$")]
_DurationText = Annotated[str, Field(pattern=r"^ *([0-9]+(\.[0-9]+)? ?(ms|s|m|h|d)|0) *$")]
RateText = Annotated[str, Field(pattern=r"^ *[0-9]+(\.[0-9]+)? ?([kKmMgGtT]?[iI]?[bB])? */ *s *$")]
Off = Literal["off", "no", "false", "never", False]
"""The forms of off in the file, for the JSON Schema."""

SIZE = PlainSerializer(format_size, when_used="json")
DURATION = PlainSerializer(format_duration, when_used="json")


def size(at_least: int, at_most: int) -> BeforeValidator:
    """Validate a whole number of bytes within these bounds, from `5MiB` or a number."""

    def check(value: Any) -> int:
        number = value if isinstance(value, int) else parse_size(text(value))
        if not at_least <= number <= at_most:
            raise ValueError(f"must be between {format_size(at_least)} and {format_size(at_most)}")
        return number

    bytes_ = Annotated[int, Field(ge=at_least, le=at_most)]
    return BeforeValidator(check, json_schema_input_type=bytes_ | _SizeText)


def duration(at_least: float, at_most: float) -> BeforeValidator:
    """Validate seconds within these bounds, from `30s` or a number of seconds."""

    def check(value: Any) -> float:
        seconds = float(value) if isinstance(value, int | float) else parse_duration(text(value))
        if not at_least <= seconds <= at_most:
            raise ValueError(f"must be between {format_duration(at_least)} and {format_duration(at_most)}")
        return seconds

    return BeforeValidator(check, json_schema_input_type=Literal[0] | _DurationText)


@dataclass(frozen=True)
class word:  # noqa: N801 - used like the functions above
    """Lower-case a word.

    The words that YAML reads as false or true mean `off` or `on`, if these are given.
    """

    off: str | None = None
    on: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate a word before the type itself."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the words for `off` and `on`."""
        words = [*((*OFF_WORDS, False) if self.off else ()), *((*ON_WORDS, True) if self.on else ())]
        return {"anyOf": [handler(schema), {"enum": words}]} if words else handler(schema)

    def _checked(self, value: Any) -> Any:
        lower = str(value).lower() if isinstance(value, str | bool) else value
        if self.off is not None and lower in OFF_WORDS:
            return self.off
        if self.on is not None and lower in ON_WORDS:
            return self.on
        return lower


class OrOff:
    """Accepts a word for off; the value is then None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate off before the type itself."""
        return core_schema.no_info_before_validator_function(
            lambda value: None if is_off(value) else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the words for off."""
        return {"anyOf": [handler(schema), {"enum": [*OFF_WORDS, False]}]}


def text(value: Any) -> str:
    """Return the value if it is a text; raise ValueError if it is not."""
    if not isinstance(value, str):
        raise ValueError("must be a single value")  # noqa: TRY004 — pydantic collects ValueError
    return value


def not_empty(entries: Any) -> Any:
    """Return a list or mapping if it has at least one entry; raise ValueError if it has none."""
    if not entries:
        raise ValueError("must have at least one entry")
    return entries


class NotEmpty:
    """Refuse a list or mapping without an entry, also in the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate the entries after the type itself."""
        return core_schema.no_info_after_validator_function(not_empty, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the least number of entries."""
        inner = handler(schema)
        return {**inner, "minProperties" if inner.get("type") == "object" else "minItems": 1}


def one_or_several() -> BeforeValidator:
    """Accept a list of values, or one value without a list."""
    return BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | tuple[str, ...]
    )


def is_off(value: Any) -> bool:
    """Return whether the value means off: as a word, or as the boolean that YAML makes of it."""
    return str(value).lower() in OFF_WORDS


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def limit(value: Any) -> float | None:
    """Parse a limit to bytes a second; None is unlimited, 0 and `off` stop all sending."""
    if value is None or isinstance(value, float):
        return value
    if str(value).lower() == "unlimited":
        return None
    return 0.0 if is_off(value) or value == "0" else parse_rate(text(value))


def minute(value: Any) -> int:
    """Parse `HH:MM` to a minute of the day; 24:00 is the end of the day."""
    if isinstance(value, int):
        return value
    match = _TIME.fullmatch(text(value))
    of_day = int(match[1]) * 60 + int(match[2]) if match else MINUTES_PER_DAY + 1
    if of_day > MINUTES_PER_DAY:
        raise ValueError("must be a time of day between 00:00 and 24:00")
    return of_day


def _absolute(value: Any, info: ValidationInfo) -> str:
    base = info.context["base"] if isinstance(info.context, Mapping) else os.getcwd()
    return paths.resolve(os.fspath(value) if isinstance(value, Path) else text(value), base)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _pattern(value: Any) -> str:
    pattern = text(value)
    try:
        lines = gitignore.spec([pattern]).patterns
    except ValueError:
        raise ValueError("is not a pattern in gitignore syntax") from None
    if not any(line.include is not None for line in lines):
        raise ValueError(r"is a pattern that matches nothing — write \# for a name that begins with #")
    return pattern


def _expiry(value: Any) -> timedelta | datetime:
    if isinstance(value, timedelta | datetime):
        return value
    try:
        lifetime = timedelta(seconds=parse_duration(text(value)))
    except (ValueError, OverflowError):
        return _instant(text(value))
    if not timedelta(0) < lifetime <= _MAX_LIFETIME:
        raise ValueError("must be between 1ms and 36525d")
    return lifetime


def _instant(value: str) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            "must be a duration such as 30d, or a date such as 2030-01-31 or 2030-01-31T12:00:00Z"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _group(value: Any) -> str:
    name = text(value)
    try:
        number = user.group_id(name)
    except KeyError:
        raise ValueError(f"there is no group {name} on this machine — make it with: groupadd --system {name}") from None
    if number is None:
        raise ValueError("is not for Windows — leave it out")
    return name


def _not_blank(value: Any) -> str:
    if not text(value).strip():
        raise ValueError("is empty")
    return text(value)


def _format_limit(rate: float | None) -> str:
    if rate is None:
        return "unlimited"
    return format_rate(rate) if rate else "off"


def format_minute(of_day: int) -> str:
    """Return a minute of the day as `HH:MM`."""
    return f"{of_day // 60:02}:{of_day % 60:02}"


def _format_expiry(value: timedelta | datetime) -> str:
    return format_duration(value.total_seconds()) if isinstance(value, timedelta) else value.isoformat()


_PATH = PlainSerializer(lambda path: printable(str(path)), return_type=str, when_used="json")

AbsolutePath = Annotated[str, BeforeValidator(_absolute), _PATH]
"""Absolute path of a file or folder, in the form that os.fsdecode returns."""
File = Annotated[Path, BeforeValidator(_absolute), _PATH]
ExistingFile = Annotated[Path, BeforeValidator(_absolute), AfterValidator(_existing), _PATH]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Expiry = Annotated[
    timedelta | datetime,
    BeforeValidator(_expiry, json_schema_input_type=str),
    PlainSerializer(_format_expiry, when_used="json"),
]
"""Lifetime of a stored file, or its end (with a time zone)."""
Text = Annotated[str, BeforeValidator(_not_blank, json_schema_input_type=Annotated[str, Field(min_length=1)])]
Group = Annotated[str, BeforeValidator(_group)]
"""Name of a group of this machine."""
Limit = Annotated[
    float | None,
    BeforeValidator(limit, json_schema_input_type=Literal["unlimited", "0", 0] | Off | RateText),
    PlainSerializer(_format_limit, when_used="json"),
]
Minute = Annotated[
    int,
    BeforeValidator(minute, json_schema_input_type=Annotated[str, Field(pattern=f"^{_TIME.pattern}$")]),
    PlainSerializer(format_minute, when_used="json"),
]
