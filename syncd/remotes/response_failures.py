"""Map an HTTP response to the failure that it means for the upload: permanent or transient, and its scope."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from syncd.core.errors import Failure, Permanent, Scope, Transient, Unauthorized
from syncd.remotes.responses import Response, single_line

PROXY_LOGIN = "put the right user and password into proxy"


def failure(response: Response, *, now: float) -> Failure:
    """Return the failure for an unexpected response; ``now`` is in seconds since the epoch."""
    status, message = response.status, _describe(response)
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
    """Return the failure for a server that answers every request with success, as a log-in portal does."""
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
"""The scope of each transient status, and whether the server is overloaded. Other 5xx have the scope JOB."""
_GATEWAY_STATUSES = (502, 504, 521, 522, 523)
"""Statuses of a gateway: the server behind it may have failed at this request only."""


_NGINX_ADVICE = {
    "ssl certificate": "it asks for a certificate of yours: set client_cert, or another one",
    "sent to https port": "set url to https",
}
"""Messages of nginx with status 400 about the connection, not about a file; and the fix for each."""


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
    """Return the failure for a redirect: permanent ones need another ``url``, temporary ones may be log-in pages."""
    try:
        target = urlsplit(response.headers.get("location", ""))
        origin = single_line(f"{target.scheme}://{target.hostname}" + (f":{target.port}" if target.port else ""))
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
