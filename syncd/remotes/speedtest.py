"""A chunk that is sent to be refused: it shows whether there is an upload API, and how fast it takes data in.

Neither API can take an upload back once it has begun. But a chunk of an upload that there is not is answered by 404,
says the document of each, and then nothing is left of it.
"""

import base64
import os
import re

from syncd.core.errors import Permanent
from syncd.remotes.bodies import Body
from syncd.remotes.http import Http
from syncd.remotes.responses import Answer


class Taken(Permanent):
    """The server took the chunk, as some do with any: it may keep it, so no other is sent."""


_REFUSALS = (400, 404, 409, 410, 422)


class ChunkTooLarge(Permanent):
    """The server takes no request as large as that chunk makes it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, advice="set chunk_size to less than that")


def noise(size: int) -> bytes:
    """Return bytes that nothing on the way can make smaller."""
    return os.urandom(size)


def characters(size: int) -> str:
    """Return the same as text in ASCII."""
    return base64.b64encode(noise(size)).decode("ascii")[:size]


async def send_in_vain(http: Http, path: str, chunk: Body, *, small: Body | None = None) -> None:
    """Return once the server has taken all of ``chunk`` in and refused it; anything else is a failure.

    ``ChunkTooLarge`` if it says so, or by a 400 that a ``small`` chunk does not get: so a parser answers to a body that
    was cut off at the largest size.
    """
    answer = await http.post(path, chunk)
    if answer.ok:
        raise Taken(f"{answer.host} took a chunk of an upload that there is not")
    failure = http.failure(answer)
    if answer.too_large or (
        answer.status == 400 and small is not None and _differ(answer, await http.post(path, small))
    ):
        raise ChunkTooLarge(failure.problem)
    if answer.status not in _REFUSALS or answer.is_page:
        raise failure
    if answer.early:
        raise Permanent(f"{answer.host} refuses a chunk before it has all of it")


def _differ(large: Answer, small: Answer) -> bool:
    """Say whether a small chunk was refused for another reason; numbers in the words may be sizes or times."""
    if small.status not in _REFUSALS or small.is_page:
        return False
    return (large.status, _without_numbers(large)) != (small.status, _without_numbers(small))


def _without_numbers(answer: Answer) -> str:
    return re.sub(r"[0-9]+", "", answer.words())
