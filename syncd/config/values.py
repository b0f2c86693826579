"""Types of single values: what may stand to the right of a key, and what it becomes.

A value comes as the text in the file, or ready-made from a program. Each type turns it into what the rooms
work with (bytes, seconds, absolute paths) or raises ValueError with a sentence that says what to write.
"""

import ipaddress
import os
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from syncd.config import gitignore, paths, written
from syncd.config.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)

MINUTES_A_DAY = 24 * 60
_CENTURY = timedelta(days=36_525)
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = {"connection", "content-length", "content-type", "expect", "host", "transfer-encoding"}
_REMOTE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")

OFF_WORDS = ("off", "no", "false", "never")
ON_WORDS = ("on", "yes", "true")


def size(at_least: int, at_most: int) -> BeforeValidator:
    """Whole bytes within these bounds, from `5MiB` or a number."""

    def check(value: Any) -> int:
        number = value if isinstance(value, int) else parse_size(text(value))
        if not at_least <= number <= at_most:
            raise ValueError(f"must be between {format_size(at_least)} and {format_size(at_most)}")
        return number

    return BeforeValidator(check)


def duration(at_least: float, at_most: float) -> BeforeValidator:
    """Seconds within these bounds, from `30s` or a number of seconds."""

    def check(value: Any) -> float:
        seconds = float(value) if isinstance(value, int | float) else parse_duration(text(value))
        if not at_least <= seconds <= at_most:
            raise ValueError(f"must be between {format_duration(at_least)} and {format_duration(at_most)}")
        return seconds

    return BeforeValidator(check)


def word(*, off: str | None = None, on: str | None = None) -> BeforeValidator:
    """Lower a word, where those that YAML reads as false or true stand for `off` or `on`."""

    def check(value: Any) -> Any:
        lower = str(value).lower() if isinstance(value, str | bool) else value
        if off is not None and lower in OFF_WORDS:
            return off
        if on is not None and lower in ON_WORDS:
            return on
        return lower

    return BeforeValidator(check)


def text(value: Any) -> str:
    """Return the value, if it is a text."""
    if not isinstance(value, str):
        raise ValueError("must be a single value")  # noqa: TRY004 — pydantic collects ValueError
    return value


def not_empty(entries: Any) -> Any:
    """Return a list or mapping that has at least one entry."""
    if not entries:
        raise ValueError("must have at least one entry")
    return entries


def one_or_several() -> BeforeValidator:
    """Several values, or one that stands alone."""
    return BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)


def is_off(value: Any) -> bool:
    """Whether a person or YAML's own reading says off."""
    return str(value).lower() in OFF_WORDS


def is_loopback(host: str) -> bool:
    """Whether an address is one that only this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def limit(value: Any) -> float | None:
    """Bytes a second; None is unlimited, 0 and `off` let nothing pass."""
    if value is None or isinstance(value, float):
        return value
    if str(value).lower() == "unlimited":
        return None
    return 0.0 if is_off(value) or value == "0" else parse_rate(text(value))


def minute(value: Any) -> int:
    """Minute of the day, from `HH:MM`; 24:00 is the end of the day."""
    if isinstance(value, int):
        return value
    match = _TIME.fullmatch(text(value))
    of_day = int(match[1]) * 60 + int(match[2]) if match else MINUTES_A_DAY + 1
    if of_day > MINUTES_A_DAY:
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


def _guid(value: Any) -> str:
    try:
        return str(uuid.UUID(text(value)))
    except ValueError:
        raise ValueError("must be a GUID, as 123e4567-e89b-12d3-a456-426614174000") from None


def _pool_id(value: Any) -> str:
    if _ULID.fullmatch(text(value)):
        return text(value).upper()
    try:
        return _guid(value)
    except ValueError:
        raise ValueError(
            "must be a GUID, as 123e4567-e89b-12d3-a456-426614174000, or a ULID, as 01ARZ3NDEKTSV4RRFFQ69G5FAV"
        ) from None


def _expiry(value: Any) -> timedelta | datetime:
    if isinstance(value, timedelta | datetime):
        return value
    try:
        lifetime = timedelta(seconds=parse_duration(text(value)))
    except (ValueError, OverflowError):
        return _instant(text(value))
    if not timedelta(0) < lifetime <= _CENTURY:
        raise ValueError("must be between 1ms and 36525d")
    return lifetime


def _instant(value: str) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a duration as 30d, or a date as 2030-01-31 or 2030-01-31T12:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _web_address(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value) or _CONTROL_CHARACTERS.search(value):
        raise ValueError("must be an address as https://host or http://host:port")
    return parts


def _url(value: Any) -> str:
    parts = _web_address(text(value))
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password — give a token by token, token_file or token_env")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a ? or # part")
    return text(value).rstrip("/")


def _proxy(value: Any) -> SecretStr:
    plain = secret_text(value)
    _web_address(plain)
    return SecretStr(plain)


def _prefix(value: str) -> str:
    if not re.fullmatch(r"(/[^/?#\s\x00-\x1f]+)*/?", value):
        raise ValueError("must be a path as /api/files/upload")
    return value.rstrip("/")


def secret_text(value: Any) -> str:
    """Return the text behind a value that may be wrapped as a secret already."""
    return text(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _header_safe(value: Any) -> SecretStr:
    plain = secret_text(value)
    if not plain:
        raise ValueError("is empty")
    if _CONTROL_CHARACTERS.search(plain):
        raise ValueError("holds a line break or another control character")
    if any(ord(character) > 0xFF for character in plain):
        raise ValueError("holds a character that can't be sent in a header")
    return SecretStr(plain)


def token(value: Any) -> SecretStr:
    """Wrap a token that can stand in a header; its text is in no error."""
    if re.search(r"[ \xa0]", secret_text(value)):
        raise ValueError("holds a space")
    return _header_safe(value)


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("is not a header's name")
    if value.lower() in _OWN_HEADERS:
        raise ValueError("is a header that syncd sets itself")
    return value


def _remote_name(value: str) -> str:
    if not _REMOTE_NAME.fullmatch(value):
        raise ValueError("a remote's name has up to 32 letters a-z, digits, - and _")
    return value


def _group(value: Any) -> str:
    name = text(value)
    if sys.platform == "win32":
        raise ValueError("is not for Windows")
    import grp  # noqa: PLC0415 — Unix alone has it

    try:
        grp.getgrnam(name)
    except KeyError:
        raise ValueError(f"there is no group {name} on this machine — make it with: groupadd --system {name}") from None
    return name


def _not_blank(value: Any) -> str:
    if not text(value).strip():
        raise ValueError("is empty")
    return text(value)


def _secret(value: Any) -> SecretStr:
    if not secret_text(value):
        raise ValueError("is empty")
    return SecretStr(secret_text(value))


def _checked(check: Callable[..., Any]) -> BeforeValidator:
    return BeforeValidator(check)


AbsolutePath = Annotated[str, _checked(_absolute), written.PATH]
"""Exact name of a file or folder, as os.fsdecode gives it."""
File = Annotated[Path, _checked(_absolute), written.PATH]
ExistingFile = Annotated[Path, _checked(_absolute), AfterValidator(_existing), written.PATH]
Pattern = Annotated[str, _checked(_pattern)]
Guid = Annotated[str, _checked(_guid)]
PoolId = Annotated[str, _checked(_pool_id)]
Expiry = Annotated[timedelta | datetime, _checked(_expiry), written.EXPIRY]
"""How long a stored file lives, or until when (with a time zone)."""
Url = Annotated[str, _checked(_url)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Proxy = Annotated[SecretStr, _checked(_proxy), written.SECRET]
Text = Annotated[str, _checked(_not_blank)]
Token = Annotated[SecretStr, _checked(token), written.SECRET]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, _checked(_header_safe), written.SECRET]
Secret = Annotated[SecretStr, _checked(_secret), written.SECRET]
Group = Annotated[str, _checked(_group)]
"""Name of a group of this machine."""
RemoteName = Annotated[str, AfterValidator(_remote_name)]
Limit = Annotated[float | None, _checked(limit), written.LIMIT]
Minute = Annotated[int, _checked(minute), written.MINUTE]
