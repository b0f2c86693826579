"""The settings of notifications.

Their URLs contain tokens, so each URL is a secret. `urls` and `ping.url` hold all of them, whatever their source:
:mod:`syncd.config.notify_files` reads the files.
"""

import importlib.util
import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

from syncd.config.remote_values import MASKED, SecretAddress, secret_text
from syncd.config.section import Section
from syncd.config.units import format_duration
from syncd.config.values import (
    DURATION,
    File,
    Minute,
    NotEmpty,
    OrOff,
    Text,
    duration,
    format_minute,
    one_or_several,
)

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9]{0,31})://[^\x00-\x1f\x7f]+")
_MIN_TOKEN_CHARACTERS = 16
"""A part of a URL from this length on, with letters and digits, is a token. Shorter parts may be ordinary words."""


def notification_url(value: Any) -> SecretStr:
    """Wrap an Apprise URL. Error messages never contain it."""
    if not _URL.fullmatch(secret_text(value)):
        raise ValueError("must be an Apprise URL such as ntfys://ntfy.sh/TOPIC or mailto://USER:PASSWORD@HOST")
    return SecretStr(secret_text(value))


def scheme(url: SecretStr) -> str:
    """Return the scheme of a notification URL, which is no secret."""
    return url.get_secret_value().partition("://")[0].lower()


def _apprise_installed(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if urls and importlib.util.find_spec("apprise") is None:
        raise ValueError(
            "need the package apprise, which is not installed — pip install 'syncd[notify]', or set command instead"
        )
    return urls


_MASK = PlainSerializer(lambda _: MASKED, return_type=str, when_used="json")
_Url = Annotated[SecretStr, BeforeValidator(notification_url), _MASK]
_OPTIONAL = PlainSerializer(lambda value: "off" if value is None else format_duration(value), when_used="json")
_OPTIONAL_MINUTE = PlainSerializer(lambda value: "off" if value is None else format_minute(value), when_used="json")


class Ping(Section):
    """The dead man's switch: a service that reports the absence of requests."""

    model_config = ConfigDict(json_schema_extra={"required": []})  # url_file fills in the url

    url: Annotated[SecretAddress, Field(description="the address to request, or give url_file")]
    url_file: File | None = None
    every: Annotated[float, duration(10, 86_400), DURATION] = 300.0


class Notify(Section):
    """The targets and times of notifications about what needs attention."""

    urls: Annotated[tuple[_Url, ...], one_or_several(), AfterValidator(_apprise_installed)] = ()
    urls_file: File | None = None
    command: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """The program and its arguments."""
    recovered: bool = True
    unavailable_after: Annotated[Annotated[float, duration(1, 30 * 86_400)] | None, OrOff(), _OPTIONAL] = 900.0
    """Seconds for which a folder or a remote may be unavailable; None never reports it."""
    idle_after: Annotated[Annotated[float, duration(60, 365 * 86_400)] | None, OrOff(), _OPTIONAL] = None
    """Seconds without an upload after which that is reported; None never reports it."""
    daily_summary: Annotated[Minute | None, OrOff(), _OPTIONAL_MINUTE] = None
    """Minute of the day, in local time; None sends no summary."""
    min_interval: Annotated[float, duration(1, 86_400), DURATION] = 300.0
    ping: Ping | None = None

    def secrets(self) -> Iterator[str]:
        """Yield every URL, and the parts of it that are secrets on their own."""
        for url in (*self.urls, *([self.ping.url] if self.ping else [])):
            yield url.get_secret_value()
            yield from _tokens(url.get_secret_value())


def _tokens(url: str) -> Iterator[str]:
    """Yield the password in a URL, and each part that looks like a token."""
    rest = url.partition("://")[2]
    if "@" in rest:
        password = rest.rpartition("@")[0].partition(":")[2]
        yield from (password, unquote(password))
    for part in re.split(r"[/:@?&=#,]", rest):
        if len(part) >= _MIN_TOKEN_CHARACTERS and re.search("[0-9]", part) and re.search("[A-Za-z]", part):
            yield from (part, unquote(part))
