"""What a server answered, and what it means: read leniently, since proxies and other programs answer too."""

import codecs
import html
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from syncd.core.errors import Failure, Permanent, Scope, Transient, Unauthorized
from syncd.core.redact import Redactor

MAX_MESSAGE_CHARACTERS = 300
"""Characters of a server's message that are passed on to a person."""
PROXY_LOGIN = "put the right user and password into proxy"
_MAX_EXAMINED_CHARACTERS = 4096
"""So much of the start of a body is looked at."""
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
        """Whether the server did as asked; a page for people says no, whatever its status (a hotel's log-in page)."""
        return self.status in (200, 201) and not self.is_html

    @property
    def too_large(self) -> bool:
        """Whether the body of the request was too large."""
        return self.status == 413 or (self.status == 400 and _TOO_LARGE.search(self.message()) is not None)

    def json(self) -> dict[str, object] | None:
        """Return the JSON object in the body, or None where there is none."""
        value = self._value()
        return value if isinstance(value, dict) else None

    def reported_error(self) -> str | None:
        """Return what shows in the JSON of a 200 that it is no success after all; None where nothing does."""
        json = self.json()
        return None if json is None else reported_error(json)

    def message(self) -> str:
        """Return the server's own words, if there are any, as one short line."""
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
        """Whether the body is a page for people: a proxy's error, a log-in."""
        start = self.body[:_MAX_EXAMINED_CHARACTERS].removeprefix(codecs.BOM_UTF8).lstrip()
        return "html" in self.headers.get("content-type", "") or start.startswith(b"<")

    def _value(self) -> object:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def _tidy(self, text: str) -> str:
        text = _printable(self.redact(text)[:_MAX_EXAMINED_CHARACTERS])
        return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def _printable(text: str) -> str:
    """Return ``text`` as one line that does nothing to a terminal."""
    text = "".join(" " if unicodedata.category(character) in _UNPRINTABLE else character for character in text)
    return " ".join(text.split())


def _error_messages(value: object) -> Iterator[str]:
    """Yield what an error says, in the shapes ``{message}``, ``{error}`` and ``{title, detail, errors}``.

    Names are in any case. ``error`` is a text, an object with a message, or texts by field.
    """
    if isinstance(value, str):
        yield value
    if not isinstance(value, dict):
        return
    value = {name.lower(): told for name, told in reversed(value.items())}
    inner = value.get("error")
    if isinstance(inner, dict):
        inner = inner.get("message") or _listed(inner)
    told = [value.get("message"), inner]
    told += [value.get("title"), value.get("detail"), _listed(value.get("errors"))]
    sayings = [saying for saying in told if isinstance(saying, str) and saying]
    yield from sayings or [_joined(value.get("code", ""))]


_FAILED = re.compile(
    r"fail|error|reject|denied|refus|cancel|abort|expired|invalid|incomplete|missing|delet|corrupt|infect|quarantin"
)
_LONGEST_STATE = 40
"""Characters; longer ones are not shown, as a cut might leave half a secret that no mask knows."""
_FAILED_STATES = range(4, 7)
"""Failed, Cancelled and Expired, as the multipart API numbers them."""


def reported_error(json: Mapping[str, object]) -> str | None:
    """Return what shows that an object is no success, whatever status it came with; None where nothing does."""
    if json.get("error") or json.get("errors"):
        return "an error"
    for name in ("success", "ok"):
        if json.get(name) is False:
            return f"{name} false"
    for name in ("status", "code"):
        value = json.get(name)
        if isinstance(value, str) and _FAILED.search(value.lower()):
            return f"{name} {value}" if len(value) <= _LONGEST_STATE and value.isprintable() else f"a failed {name}"
        if (number := _whole(value)) is None:
            continue
        if 400 <= number < 600 or (name == "status" and number in _FAILED_STATES):
            return f"{name} {number}"
    return None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _listed(errors: object) -> str:
    if isinstance(errors, dict):
        texts = ((name, _joined(told)) for name, told in errors.items())
        return "; ".join(f"{name}: {text}" for name, text in texts if text)
    return _joined(errors) if isinstance(errors, list) else ""


def _joined(told: object) -> str:
    parts = told if isinstance(told, list) else [told]
    return ", ".join(str(part) for part in parts if isinstance(part, str | int | float))


def failure(response: Response, *, now: float) -> Failure:
    """Say what an answer that is not the wanted one means for the upload; ``now`` in seconds since the epoch."""
    status, message = response.status, _sentence(response)
    if status == 401:
        return Unauthorized(message, advice="look at the remote's token")
    if status == 407:
        return Transient(message, advice=PROXY_LOGIN, scope=Scope.REMOTE)
    if status == 400 and response.is_html and (advice := _nginx_advice(message)):
        return Transient(message, advice=advice, scope=Scope.REMOTE)
    if 300 <= status < 400:
        return _redirect_failure(response, message)
    if status < 300:
        message = f"{response.host} answered {response.request_line} with something that is not understood"
        message = _append(message, response.message())
        if response.is_html:
            return Transient(message, scope=Scope.REMOTE, if_reachable=Scope.FILE)
        return Transient(message)
    if status in _TRANSIENT_STATUSES or (status >= 500 and status not in (501, 505)):
        scope, overload = _TRANSIENT_STATUSES.get(status, (Scope.JOB, False))
        after = retry_after(response.headers.get("retry-after", ""), now)
        if_reachable = Scope.JOB if status in _GATEWAY_STATUSES and after is None else None
        return Transient(message, scope=scope, overload=overload, retry_after=after, if_reachable=if_reachable)
    return Permanent(message)


def not_an_upload_api(response: Response, *, kind: str, asked: str) -> Transient:
    """Say that a server says yes to everything, as a portal or a default page does: the remote as a whole is away."""
    problem = f"{response.host} is not {kind} API: it answered {response.status} for {asked} that can't be there"
    advice = "look at url and type; a log-in page may be in between"
    return Transient(_append(problem, response.message()), advice=advice, scope=Scope.REMOTE)


_TRANSIENT_STATUSES = {
    408: (Scope.JOB, True),
    423: (Scope.JOB, False),
    425: (Scope.JOB, False),
    429: (Scope.REMOTE, True),
    502: (Scope.REMOTE, False),
    503: (Scope.REMOTE, True),
    504: (Scope.REMOTE, True),
    507: (Scope.REMOTE, False),
    521: (Scope.REMOTE, False),  # 521 to 524: the server behind a CDN is down, or did not answer in time
    522: (Scope.REMOTE, True),
    523: (Scope.REMOTE, False),
    524: (Scope.JOB, True),
}
"""Status → how far it reaches, and whether there is too much to do. All other 5xx are the file's own."""
_GATEWAY_STATUSES = (502, 504, 521, 522, 523)
"""A gateway's account of the server behind it, which may have failed at this one request."""


_NGINX_ADVICE = {
    "ssl certificate": "it asks for a certificate of yours: set client_cert, or another one",
    "sent to https port": "set url to https",
}
"""What nginx in front of a server says, with 400, of how it is talked to; and what to do. No file is to blame."""


def _nginx_advice(message: str) -> str | None:
    return next((advice for phrase, advice in _NGINX_ADVICE.items() if phrase in message.lower()), None)


def _sentence(response: Response) -> str:
    return _append(
        f"{response.host} answered {response.status} to {response.request_line}",
        response.message() or _phrase(response.status),
    )


def _append(sentence: str, message: str) -> str:
    return f"{sentence}: {message}" if message else sentence


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _redirect_failure(response: Response, message: str) -> Failure:
    """Judge a redirect: a move for good needs another ``url``; one for now may be a log-in page, which passes."""
    try:
        target = urlsplit(response.headers.get("location", ""))
        origin = _printable(f"{target.scheme}://{target.hostname}" + (f":{target.port}" if target.port else ""))
        known = bool(target.scheme and target.hostname)
    except ValueError:
        known = False
    advice = ""
    if known:
        message = f"{response.host} answered {response.status} to {response.request_line} and points to {origin}"
        advice = "set url to that"
    if response.status in (301, 308):
        return Permanent(message, advice=advice)
    return Transient(message, advice=advice, scope=Scope.REMOTE)


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as a date; None for anything else."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - now)
