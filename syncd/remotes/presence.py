"""Judges whether a server has a file, by its response to a download request.

Yes requires the right length or the right bytes; no requires "not found" or other bytes. A rejection, a server error
and an HTML page of a proxy mean unknown.
"""

from collections.abc import Awaitable

from syncd.core.errors import Failure, Permanent, Scope, Transient, Unauthorized
from syncd.core.model import Confirmation, Presence, Proof
from syncd.remotes.downloads import CopyState
from syncd.remotes.http import Http
from syncd.remotes.responses import Response

GONE = "the server no longer has it"
NEVER_NAMED = "the server never named an id for this file"


def unknown(reason: str) -> Confirmation:
    """Return the confirmation that it is unknown whether the server has the file."""
    return Confirmation(presence=Presence.UNKNOWN, reason=reason)


def missing(reason: str) -> Confirmation:
    """Return the confirmation that the server does not have the file."""
    return Confirmation(presence=Presence.NO, reason=reason)


def is_server_failure(failure: Failure) -> bool:
    """Return whether a failure concerns the whole server.

    The server is unreachable, overloaded, or rejects the token.
    """
    if isinstance(failure, Transient):
        return failure.scope is Scope.REMOTE or failure.overload
    return isinstance(failure, Unauthorized)


async def check_request(http: Http, request: Awaitable[Response]) -> Confirmation | None:
    """Await the request for a stored file; return None after a 200.

    After any other response, return what it proves. Failures of the whole server are raised.
    """
    try:
        response = await request
    except (Transient, Permanent) as error:  # Permanent: a redirect that must not be followed
        if is_server_failure(error):
            raise
        return unknown(error.problem)
    if response.status == 200:
        return None
    if response.status in (404, 410):
        return missing(GONE)
    failure = http.failure(response)
    if is_server_failure(failure):
        raise failure
    return unknown(describe_refusal(response))


def describe_refusal(response: Response) -> str:
    """Return a text with the status and the message of the response."""
    return ": ".join(filter(None, (f"the server answered {response.status}", response.message())))


def judge_length(length: int | None, size: int) -> Confirmation:
    """Judge by the announced length.

    A wrong length means unknown: the response may be a thumbnail or an HTML page.
    """
    if length is None:
        return unknown("the server does not send its length")
    if length != size:
        return unknown(f"the server returns {length} bytes instead of {size}")
    return Confirmation(presence=Presence.YES, proof=Proof.SIZE)


_REASONS = {
    CopyState.SHORTER: "the server returns fewer bytes",
    CopyState.LONGER: "the server returns more bytes",
    CopyState.ENDLESS: "the server returns more bytes",
    CopyState.GAPS: "the server returns a copy with gaps",
    CopyState.DIFFERENT: "the server returns other bytes",
}


def judge_comparison(copy: CopyState) -> Confirmation:
    """Judge by a comparison of all bytes.

    A difference means unknown: only the caller knows whether the server answers reliably.
    """
    if copy is CopyState.INTACT:
        return Confirmation(presence=Presence.YES, proof=Proof.BYTES)
    return unknown(_REASONS[copy])
