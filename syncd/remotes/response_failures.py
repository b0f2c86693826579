"""Maps an unexpected HTTP response to a failure of :mod:`syncd.core.errors`.

A 429 or 503 becomes a ``Transient`` with the seconds of Retry-After. :mod:`syncd.core.breaker` then allows no request
to the server until a probe succeeds, and :mod:`syncd.upload.upload` returns the job to the queue. For a failure of one
file, :mod:`syncd.core.retry` decides when its job is tried again.

A 401 becomes ``Unauthorized``: the server rejected the token. :mod:`syncd.core.breaker` handles it in the same way.

The clients treat a 413 or 408 to a chunk differently: :mod:`syncd.remotes.chunk_sizes` makes the chunks smaller.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from syncd.core.errors import Failure, Permanent, Scope, Transient, Unauthorized
from syncd.remotes.responses import Response, single_line

PROXY_LOGIN = "set the right user and password in proxy"


def failure(response: Response, *, now: float) -> Failure:
    """Return the failure for an unexpected response; ``now`` is in seconds since the epoch."""
    status, message = response.status, _describe(response)
    if status == 401:
        return Unauthorized(message, advice="check the remote's token")
    if status == 407:
        return Transient(message, advice=PROXY_LOGIN, scope=Scope.REMOTE)
    if status == 400 and response.is_html and (advice := _nginx_advice(message)):
        return Transient(message, advice=advice, scope=Scope.REMOTE)
    if 300 <= status < 400:
        return _redirect_failure(response, message)
    if status < 300:
        message = f"the response of {response.host} to {response.request_line} was not understood"
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
    """Return the failure for a server that accepts every request, as a login portal does.

    ``kind`` and ``asked`` are nouns with articles: the API, and the object that the server claims to have.
    """
    problem = f"{response.host} is not {kind} API: it answered {response.status} for {asked} that can't exist"
    advice = "check url and type; a login page may intercept the requests"
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
"""Scope, and whether the server is overloaded, by transient status. Other 5xx have the scope JOB."""
_GATEWAY_STATUSES = (502, 504, 521, 522, 523)
"""Statuses of a gateway. The server behind it may have failed at this request only."""


_NGINX_ADVICE = {
    "ssl certificate": "the server requires a client certificate: set client_cert, or another one",
    "sent to https port": "set url to https",
}
"""The fix for a 400 of nginx that concerns the connection, not the file; by a phrase of its message."""


def _nginx_advice(message: str) -> str | None:
    return next((advice for phrase, advice in _NGINX_ADVICE.items() if phrase in message.lower()), None)


def _describe(response: Response) -> str:
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
    """Return the failure for a redirect.

    A permanent redirect needs another ``url``; a temporary one may lead to a login page.
    """
    try:
        target = urlsplit(response.headers.get("location", ""))
        origin = f"{target.scheme}://{target.hostname}" + (f":{target.port}" if target.port else "")
        origin = single_line(response.redact(origin))
        known = bool(target.scheme and target.hostname)
    except ValueError:
        known = False
    advice = ""
    if known:
        message = f"{response.host} answered {response.status} to {response.request_line} and redirects to {origin}"
        advice = "set url to that"
    if response.status in (301, 308):
        return Permanent(message, advice=advice)
    return Transient(message, advice=advice, scope=Scope.REMOTE)


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds of a Retry-After header; None if it is invalid.

    The header has seconds or an HTTP date. ``now`` is in seconds since the epoch.
    """
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - now)
