"""Whether a server has a stored file, judged by its answer to the request for it: yes, no, or not told.

Only the right length or the right bytes are a yes, and only "not found" or other bytes are a no. A refusal, an error of
the server and a page in between say nothing about the file.
"""

from collections.abc import Awaitable

from syncd.core.errors import Failure, Permanent, Scope, Transient, Unauthorized
from syncd.core.model import Confirmation, Presence, Proof
from syncd.remotes.http import Http
from syncd.remotes.responses import Response
from syncd.remotes.sinks import CopyState

GONE = "the server does not have it any more"
NEVER_NAMED = "the server never said what it calls this file"


def unknown(reason: str) -> Confirmation:
    """Return that the server has not told."""
    return Confirmation(presence=Presence.UNKNOWN, reason=reason)


def missing(reason: str) -> Confirmation:
    """Return that the server does not have it."""
    return Confirmation(presence=Presence.NO, reason=reason)


def is_server_failure(failure: Failure) -> bool:
    """Say whether a failure is the server's as a whole, or asks for fewer requests."""
    if isinstance(failure, Transient):
        return failure.scope is Scope.REMOTE or failure.overload
    return isinstance(failure, Unauthorized)


async def ask(http: Http, request: Awaitable[Response]) -> Confirmation | None:
    """Await the request for a stored file; return what a refusal says, or None where it is there to be measured.

    Failures of the server as a whole are raised.
    """
    try:
        response = await request
    except (Transient, Permanent) as trouble:  # Permanent: a redirect that must not be followed
        if is_server_failure(trouble):
            raise
        return unknown(trouble.problem)
    if response.status == 200:
        return None
    if response.status in (404, 410):
        return missing(GONE)
    failure = http.failure(response)
    if is_server_failure(failure):
        raise failure
    return unknown(refusal(response))


def refusal(response: Response) -> str:
    """Say what the server answered instead of giving the file."""
    return ": ".join(filter(None, (f"the server answered {response.status}", response.message())))


def judge_length(length: int | None, size: int) -> Confirmation:
    """Judge by the announced length: another one may be that of a derivative or of a page, and is no answer."""
    if length is None:
        return unknown("the server does not tell its length")
    if length != size:
        return unknown(f"the server gives back {length} bytes instead of {size}")
    return Confirmation(presence=Presence.YES, proof=Proof.SIZE)


_COMPARED = {
    CopyState.SHORTER: "the server gives back fewer bytes",
    CopyState.LONGER: "the server gives back more bytes",
    CopyState.ENDLESS: "the server gives back more bytes",
    CopyState.GAPS: "the server gives back a copy with gaps",
    CopyState.DIFFERENT: "the server gives back other bytes",
}


def judge_comparison(copy: CopyState) -> Confirmation:
    """Judge by a comparison of all bytes; what a difference means is for the caller to say."""
    if copy is CopyState.INTACT:
        return Confirmation(presence=Presence.YES, proof=Proof.BYTES)
    return unknown(_COMPARED[copy])
