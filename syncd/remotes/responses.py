"""Represent a server's response, and extract its error message leniently: proxies and other programs answer, too.

:mod:`syncd.remotes.response_failures` maps a response to a failure.
"""

import codecs
import html
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from syncd.core.redact import Redactor

MAX_MESSAGE_CHARACTERS = 300
"""Longer messages of a server are truncated."""
_MAX_EXAMINED_CHARACTERS = 4096
"""Characters at the start of a body that are searched for a message."""
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]*)", re.IGNORECASE)
_TOO_LARGE = re.compile(r"too (large|big|long)|exceed|larger than|limit", re.IGNORECASE)
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """A server's response to one request.

    ``headers`` have lower-case names, and ``body`` may be truncated. ``request_line`` is the method and path of the
    request, ``host`` the server that answered. ``redact`` removes secrets from messages. ``before_body_sent`` is True
    if the server answered before it had received the whole request.
    """

    host: str
    request_line: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    before_body_sent: bool = False
    redact: Redactor = field(default_factory=Redactor, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded. An HTML page never means success: it may be a log-in page."""
        return self.status in (200, 201) and not self.is_html

    @property
    def too_large(self) -> bool:
        """Whether the body of the request was too large."""
        return self.status == 413 or (self.status == 400 and _TOO_LARGE.search(self.message()) is not None)

    def json(self) -> dict[str, object] | None:
        """Return the JSON object in the body; None if the body is something else."""
        value = self._value()
        return value if isinstance(value, dict) else None

    def reported_error(self) -> str | None:
        """Return the error that the JSON of a 200 reports; None if it reports none."""
        json = self.json()
        return None if json is None else reported_error(json)

    def message(self) -> str:
        """Return the server's message as one short line; an empty text if there is none."""
        if self.is_html:
            title = _TITLE.search(self.redact(self.body.decode(errors="replace"))[:_MAX_EXAMINED_CHARACTERS])
            text = html.unescape(title[1]) if title else ""
            return self._tidy(text) or "an HTML page"
        value = self._value()
        if value is None:
            return self._tidy(self.body.decode(errors="replace"))
        return self._tidy(": ".join(_error_messages(value)))

    @property
    def is_html(self) -> bool:
        """Whether the body is an HTML page, such as an error of a proxy or a log-in page."""
        start = self.body[:_MAX_EXAMINED_CHARACTERS].removeprefix(codecs.BOM_UTF8).lstrip()
        return "html" in self.headers.get("content-type", "") or start.startswith(b"<")

    def _value(self) -> object:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def _tidy(self, text: str) -> str:
        text = single_line(self.redact(text)[:_MAX_EXAMINED_CHARACTERS])
        return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def single_line(text: str) -> str:
    """Return ``text`` as one line without control characters."""
    text = "".join(" " if unicodedata.category(character) in _UNPRINTABLE else character for character in text)
    return " ".join(text.split())


def _error_messages(value: object) -> Iterator[str]:
    """Yield the messages of an error with the keys ``message``, ``error``, or ``title``, ``detail`` and ``errors``.

    The keys may have any case. ``error`` is a text, an object with a message, or an object of texts by field.
    """
    if isinstance(value, str):
        yield value
    if not isinstance(value, dict):
        return
    value = {name.lower(): told for name, told in reversed(value.items())}
    inner = value.get("error")
    if isinstance(inner, dict):
        inner = inner.get("message") or _join_fields(inner)
    told = [value.get("message"), inner]
    told += [value.get("title"), value.get("detail"), _join_fields(value.get("errors"))]
    messages = [message for message in told if isinstance(message, str) and message]
    yield from messages or [_join(value.get("code", ""))]


_FAILED = re.compile(
    r"fail|error|reject|denied|refus|cancel|abort|expired|invalid|incomplete|missing|delet|corrupt|infect|quarantin"
)
_MAX_STATE_CHARACTERS = 40
"""Characters; a longer state is not shown: truncated, it might contain half a secret, which escapes redaction."""
_FAILED_STATES = range(4, 7)
"""Failed, Cancelled and Expired, as the multipart API numbers them."""


def reported_error(json: Mapping[str, object]) -> str | None:
    """Return the error that a JSON object reports, whatever the HTTP status; None if it reports none."""
    if json.get("error") or json.get("errors"):
        return "an error"
    for name in ("success", "ok"):
        if json.get(name) is False:
            return f"{name} false"
    for name in ("status", "code"):
        value = json.get(name)
        if isinstance(value, str) and _FAILED.search(value.lower()):
            return (
                f"{name} {value}" if len(value) <= _MAX_STATE_CHARACTERS and value.isprintable() else f"a failed {name}"
            )
        if (number := _to_integer(value)) is None:
            continue
        if 400 <= number < 600 or (name == "status" and number in _FAILED_STATES):
            return f"{name} {number}"
    return None


def _to_integer(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _join_fields(errors: object) -> str:
    if isinstance(errors, dict):
        texts = ((name, _join(told)) for name, told in errors.items())
        return "; ".join(f"{name}: {text}" for name, text in texts if text)
    return _join(errors) if isinstance(errors, list) else ""


def _join(told: object) -> str:
    parts = told if isinstance(told, list) else [told]
    return ", ".join(str(part) for part in parts if isinstance(part, str | int | float))
