"""Measures the upload speed with a chunk that the server must reject.

Neither API can delete an upload that has begun. But a server answers 404 to a chunk of an unknown upload and stores
nothing of it, as both API documents say. The response also shows whether the server offers the API.
"""

import base64
import os
import re

from syncd.core.errors import Permanent
from syncd.remotes.bodies import Body
from syncd.remotes.http import Http
from syncd.remotes.responses import Response


class ChunkAcceptedError(Permanent):
    """The server accepted a chunk of an unknown upload.

    The server may have stored the chunk, so send no other one.
    """


class ChunkTooLargeError(Permanent):
    """The server accepts no request of this size."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, advice="set chunk_size to less than that")


_REJECTION_STATUSES = (400, 404, 409, 410, 422)
"""Statuses of an upload API for a chunk of an unknown upload."""


def incompressible_bytes(size: int) -> bytes:
    """Return random bytes, which a proxy cannot compress."""
    return os.urandom(size)


def incompressible_text(size: int) -> str:
    """Return ``size`` random ASCII characters."""
    return base64.b64encode(incompressible_bytes(size)).decode("ascii")[:size]


async def send_rejected_chunk(http: Http, path: str, chunk: Body, *, small: Body | None = None) -> None:
    """Send ``chunk``; return when the server has read and rejected it, raise otherwise.

    Raises ``ChunkTooLargeError`` if the response names the size as the reason, or if a 400 to ``chunk`` differs from
    the response to ``small``: if a proxy truncates the body, the server's JSON parser fails.
    """
    response = await http.post(path, chunk)
    if response.ok:
        raise ChunkAcceptedError(f"{response.host} accepted a chunk of an unknown upload")
    failure = http.failure(response)
    if response.too_large or (
        response.status == 400 and small is not None and _differ(response, await http.post(path, small))
    ):
        raise ChunkTooLargeError(failure.problem)
    if response.status not in _REJECTION_STATUSES or response.is_html:
        raise failure
    if response.before_body_sent:
        raise Permanent(f"{response.host} rejects a chunk before it has received all of it")


def _differ(large: Response, small: Response) -> bool:
    """Return whether the two chunks were rejected for different reasons.

    Numbers in the messages do not count: they may be sizes or times.
    """
    if small.status not in _REJECTION_STATUSES or small.is_html:
        return False
    return (large.status, _without_numbers(large)) != (small.status, _without_numbers(small))


def _without_numbers(response: Response) -> str:
    return re.sub(r"[0-9]+", "", response.message())
