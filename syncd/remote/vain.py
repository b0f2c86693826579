"""A chunk that is sent to be refused: it shows whether there is an upload API, and how fast it takes data in.

Neither API can take an upload back once it has begun. But a chunk of an upload that there is not is answered by 404,
says the document of each, and then nothing is left of it.
"""

import base64
import os

from syncd.core.errors import Permanent
from syncd.remote.bodies import Body
from syncd.remote.http import Http


class Taken(Permanent):
    """The server took the chunk, as some do with any: it may keep it, so no other is sent."""


_REFUSALS = (400, 404, 409, 410, 422)


def noise(size: int) -> bytes:
    """Return bytes that nothing on the way can make smaller."""
    return os.urandom(size)


def characters(size: int) -> str:
    """Return the same as text in ASCII."""
    return base64.b64encode(noise(size)).decode("ascii")[:size]


async def send_in_vain(http: Http, path: str, chunk: Body) -> None:
    """Return once the server has taken all of ``chunk`` in and refused it; anything else is a failure."""
    answer = await http.post(path, chunk)
    if answer.ok:
        raise Taken(f"{answer.host} took a chunk of an upload that there is not")
    failure = http.failure(answer)
    if answer.too_large:
        raise Permanent(failure.problem, advice="set chunk_size to less than that")
    if answer.status not in _REFUSALS or answer.is_page:
        raise failure
    if answer.early:
        raise Permanent(f"{answer.host} refuses a chunk before it has all of it")
