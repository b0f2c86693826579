"""Represents a server's response, and extracts its error message.

The response may come from a proxy or any other program, so every format is tolerated.
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
        """True if the request succeeded. An HTML page never means success: it may be a login page."""
        return self.status in (200, 201) and not self.is_html

    @property
    def too_large(self) -> bool:
        """True if the server rejected the request because its body is too large."""
        return self.status == 413 or (self.status == 400 and _TOO_LARGE.search(self.message()) is not None)

    def json(self) -> dict[str, object] | None:
        """Return the JSON object in the body; None if the body is something else."""
        value = self._value()
        return value if isinstance(value, dict) else None

    def reported_error(self) -> str | None:
        """Return the result of :func:`reported_error` for the JSON object in the body."""
        json = self.json()
        return None if json is None else reported_error(json)

    def message(self) -> str:
        """Return the server's message as one short line; an empty text if there is none."""
        if self.is_html:
            title = _TITLE.search(self.redact(self.body.decode(errors="replace"), _MAX_EXAMINED_CHARACTERS))
            text = html.unescape(title[1]) if title else ""
            return self._tidy(text) or "an HTML page"
        value = self._value()
        if value is None:
            return self._tidy(self.body.decode(errors="replace"))
        return self._tidy(": ".join(_error_messages(value)))

    @property
    def is_html(self) -> bool:
        """True if the body is an HTML page, such as a proxy's error or a login page."""
        start = self.body[:_MAX_EXAMINED_CHARACTERS].removeprefix(codecs.BOM_UTF8).lstrip()
        return "html" in self.headers.get("content-type", "") or start.startswith(b"<")

    def _value(self) -> object:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def _tidy(self, text: str) -> str:
        text = single_line(self.redact(text, _MAX_EXAMINED_CHARACTERS))
        return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def single_line(text: str) -> str:
    """Return ``text`` as one line without control characters."""
    text = "".join(" " if unicodedata.category(character) in _UNPRINTABLE else character for character in text)
    return " ".join(text.split())


def _error_messages(value: object) -> Iterator[str]:
    """Yield the messages in a JSON error.

    The keys are ``message``, ``error``, ``title``, ``detail`` and ``errors``, in any case. ``error`` is a text, an
    object with a message, or an object of texts by field.
    """
    if isinstance(value, str):
        yield value
    if not isinstance(value, dict):
        return
    value = {name.lower(): item for name, item in reversed(value.items())}
    inner = value.get("error")
    if isinstance(inner, dict):
        inner = inner.get("message") or _join_fields(inner)
    candidates = [value.get("message"), inner]
    candidates += [value.get("title"), value.get("detail"), _join_fields(value.get("errors"))]
    messages = [message for message in candidates if isinstance(message, str) and message]
    yield from messages or [_join(value.get("code", ""))]


_FAILED = re.compile(
    r"fail|error|reject|denied|refus|cancel|abort|expired|invalid|incomplete|missing|delet|corrupt|infect|quarantin"
)
_MAX_STATE_CHARACTERS = 40
"""Longer states are not shown: a truncated state might end with half a secret, which would not be redacted."""
_FAILED_STATES = range(4, 7)
"""Failed, Cancelled and Expired, as the multipart API numbers them."""


def reported_error(json: Mapping[str, object]) -> str | None:
    """Return the error that a JSON object reports; None without one.

    Some servers report an error with the status 200.
    """
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
        texts = ((name, _join(messages)) for name, messages in errors.items())
        return "; ".join(f"{name}: {text}" for name, text in texts if text)
    return _join(errors) if isinstance(errors, list) else ""


def _join(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    return ", ".join(str(part) for part in parts if isinstance(part, str | int | float))
