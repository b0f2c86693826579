"""Send a chunk that the server must reject: the answer shows whether the API is there, its duration the upload speed.

Neither API can withdraw an upload once it has begun. But a server answers 404 to a chunk of an unknown upload, as both
API documents say, and stores nothing of it.
"""

import base64
import os
import re

from syncd.core.errors import Permanent
from syncd.remotes.bodies import Body
from syncd.remotes.http import Http
from syncd.remotes.responses import Response


class ChunkAcceptedError(Permanent):
    """The server accepted a chunk of an unknown upload. It may store the chunk, so do not send more."""


class ChunkTooLargeError(Permanent):
    """The server accepts no request of this size."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, advice="set chunk_size to less than that")


_REJECTION_STATUSES = (400, 404, 409, 410, 422)


def incompressible_bytes(size: int) -> bytes:
    """Return random bytes, which no proxy on the way can compress."""
    return os.urandom(size)


def incompressible_text(size: int) -> str:
    """Return ``size`` random ASCII characters."""
    return base64.b64encode(incompressible_bytes(size)).decode("ascii")[:size]


async def send_rejected_chunk(http: Http, path: str, chunk: Body, *, small: Body | None = None) -> None:
    """Send ``chunk`` and return once the server has read all of it and rejected it. Anything else raises.

    ``ChunkTooLargeError`` if the server says that the chunk is too large, or answers 400 to it and something else to
    the chunk ``small``: that is how a parser answers if a proxy cuts the body off.
    """
    response = await http.post(path, chunk)
    if response.ok:
        raise ChunkAcceptedError(f"{response.host} took a chunk of an upload that there is not")
    failure = http.failure(response)
    if response.too_large or (
        response.status == 400 and small is not None and _differ(response, await http.post(path, small))
    ):
        raise ChunkTooLargeError(failure.problem)
    if response.status not in _REJECTION_STATUSES or response.is_html:
        raise failure
    if response.before_body_sent:
        raise Permanent(f"{response.host} refuses a chunk before it has all of it")


def _differ(large: Response, small: Response) -> bool:
    """Return whether the small chunk was rejected for another reason. Ignore numbers: they may be sizes or times."""
    if small.status not in _REJECTION_STATUSES or small.is_html:
        return False
    return (large.status, _without_numbers(large)) != (small.status, _without_numbers(small))


def _without_numbers(response: Response) -> str:
    return re.sub(r"[0-9]+", "", response.message())
