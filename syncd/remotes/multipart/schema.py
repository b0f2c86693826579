"""Reads the JSON responses of the multipart API.

They are those of *create*, *resume* and *progress*, and the CloudFile, the API's name for a stored file. Servers differ
in names and types, so the reading is lenient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from syncd.core import chunks
from syncd.core.chunks import ChunkSet
from syncd.core.errors import Permanent, SessionLost
from syncd.core.model import Content, Proof, Session
from syncd.remotes.responses import reported_error

Json = Mapping[str, object]

MAX_CHUNKS = 1_000_000
"""Limit for one file. Each chunk costs a request, and a row in the store."""
MAX_ID_CHARACTERS = 1000
"""Limit for the id of a task or a file."""
MAX_FULL_MD5_BYTES = 5 * 1024 * 1024
"""Of longer files, some servers hash only the first and the last MiB with MD5."""
_ENVELOPES = ("file", "file_info", "data")


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudFile:
    """A file that the server claims to have.

    ``digest`` and ``size`` are None if the response lacks them. ``reported_error`` is set if the response confirms
    nothing: it contains an error, a failed status or an invalid size.
    """

    id: str
    digest: str | None
    size: int | None
    reported_error: str | None = None

    def contradiction(self, content: Content) -> str | None:
        """Return how the server's file differs from ``content``; None without a known difference."""
        if self.size is not None and self.size != content.size:
            return f"the server's file has {self.size} bytes instead of {content.size}"
        if self.same_hash(content) is False:
            return "the server's file has another hash"
        return None

    def proof(self, content: Content, *, already: bool) -> Proof:
        """Return how much this response proves.

        An MD5 does not prove that a file existed ``already``, because other content with the same MD5 is easy to make.
        """
        if self.reported_error is not None:
            return Proof.NONE
        if self.same_hash(content) and not (already and self.digest and len(self.digest) == _MD5):
            return Proof.HASH
        return Proof.SIZE if self.size == content.size else Proof.NONE

    def same_hash(self, content: Content) -> bool | None:
        """Return whether the hash is that of ``content``; None without a comparable hash."""
        if self.digest is None:
            return None
        algorithm, _, sent = content.key.partition(":")
        known = {_SHA256: content.sha256, len(sent): sent} if algorithm == "md5" else {len(sent): sent}
        ours = known.get(len(self.digest))
        if ours is None:
            return None
        same = self.digest.lower() == ours
        return None if not same and len(ours) == _MD5 and content.size > MAX_FULL_MD5_BYTES else same


_MD5, _SHA256 = 32, 64
"""Hexadecimal digits of each hash."""


def read_cloud_file(json: object) -> CloudFile | None:
    """Read a CloudFile; None if ``json`` is not one, such as an object without an ``id``."""
    if not isinstance(json, dict):
        return None
    file_id = read_id(json.get("id"))
    if not file_id:
        return None
    digest, raw_size = json.get("hash"), json.get("size")
    size = _read_size(raw_size)
    error = reported_error(json) or ("a size that is not a number" if size is None and raw_size is not None else None)
    return CloudFile(
        id=file_id, digest=digest if isinstance(digest, str) and digest else None, size=size, reported_error=error
    )


def read_stored_file(json: object, *, enveloped: bool = False) -> CloudFile | None:
    """Read the CloudFile in a response; prefer one with a hash or a size.

    It is the object itself, or its ``file``, ``file_info`` or ``data``. With ``enveloped``, ignore the object itself,
    whose ``id`` is not that of a file.
    """
    if not isinstance(json, dict):
        return None
    inner = [file for name in _ENVELOPES if (file := read_cloud_file(json.get(name)))]
    outer = [file for file in (read_cloud_file(json),) if file and not enveloped]
    verifiable = [file for file in (*outer, *inner) if file.digest is not None or file.size is not None]
    found = next(iter(verifiable or inner or outer), None)
    error = reported_error(json)
    return replace(found, reported_error=error) if found and error else found


def _read_size(value: object) -> int | None:
    """Read a length in bytes, which may be text or a float with an integral value."""
    return read_count(int(value) if isinstance(value, float) and value.is_integer() else value)


def read_session(json: Json, content: Content) -> Session | None:
    """Read the session from a response to *create*.

    Returns None if the response lacks the task's id or the chunk size. Raises ``Permanent`` if the chunk size and the
    number of chunks do not match the size of ``content``.
    """
    task, chunk_size = read_id(json.get("task_id")), read_count(json.get("chunk_size"))
    if not task or chunk_size is None:
        return None
    count = chunks.count(content.size, chunk_size) if chunk_size > 0 else 0
    announced = read_count(json.get("chunks_count"))
    if count < 1 or announced not in (None, count):
        raise Permanent(
            f"the server requires {announced} chunks of {chunk_size} bytes for a file of {content.size} bytes, "
            "which do not add up"
        )
    if count > MAX_CHUNKS:
        raise Permanent(f"the server requires {count} chunks of {chunk_size} bytes, more than {MAX_CHUNKS}")
    return Session(token=task, chunk_size=min(chunk_size, content.size), count=count)


def received_chunks(json: Json, session: Session) -> ChunkSet:
    """Read the chunks that have arrived from a response to *resume*.

    The response has a list, or ranges if there are many chunks. A list that is shorter than the response's own count is
    ignored. If there is only a count, trust the acknowledged chunks of ``session`` unless the count is lower. Raises
    ``SessionLost`` if the server has another number of chunks.
    """
    if read_count(json.get("chunks_count")) not in (None, session.count):
        raise SessionLost("the server has divided this file into other chunks")
    counted = read_count(json.get("chunks_uploaded"))
    listed = _listed_chunks(json, session.count)
    if listed is not None and (counted is None or len(listed) >= counted):
        return listed
    return session.received if counted is None or counted >= len(session.received) else ChunkSet()


def _listed_chunks(json: Json, count: int) -> ChunkSet | None:
    """Read ``uploaded_chunks``, or ``uploaded_ranges``; None if both are missing or invalid.

    Ranges are pairs of the first and the last chunk, in ascending order.
    """
    listed, ranges = json.get("uploaded_chunks"), json.get("uploaded_ranges")
    if isinstance(listed, list):
        indices = map(read_count, listed)
        return ChunkSet(index for index in indices if index is not None and index < count)
    if not isinstance(ranges, list):
        return None
    arrived = ChunkSet()
    free = 0  # ranges must not overlap: otherwise a short response could cause endless work
    for pair in ranges:
        first, last = map(read_count, pair) if isinstance(pair, list) and len(pair) == 2 else (None, None)
        if first is None or last is None or not free <= first <= last < count:
            return None
        free = last + 1
        for index in range(first, free):
            arrived.add(index)
    return arrived


def assembly_state(json: Json) -> Literal["running", "failed", "done"]:
    """Read the state of the assembly, a word or an integer, from a response to *progress*."""
    status = read_id(json.get("status")).lower()
    if status in ("failed", "cancelled", "canceled", "expired", "4", "5", "6"):
        return "failed"
    return "done" if status in ("completed", "3") else "running"


def is_processing(json: Json) -> bool:
    """Return whether a response to *progress* says that the server is assembling the chunks."""
    return read_id(json.get("status")).lower() in ("processing", "2")


def read_id(value: object) -> str:
    """Read an id, which may be a number; an empty text if it is unusable in a URL."""
    found = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return found if found.isprintable() and len(found) <= MAX_ID_CHARACTERS else ""


def read_count(value: object) -> int | None:
    """Read a count, which may be text; None unless it is 0 or more."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
