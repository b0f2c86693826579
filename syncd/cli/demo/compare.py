"""Compares the demo's files with their copies at the receiver.

It reads the copies with ``http.client``, not with the code of the upload clients, so that one bug cannot hide another.
"""

import base64
import hashlib
import http.client
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from syncd.control.client import ControlClient
from syncd.control.schemas import Job
from syncd.core.text import printable

_BLOCK_BYTES = 1024 * 1024
"""Bytes per read; a multiple of 4, so that each block is valid base64."""


def compare(client: ControlClient, url: str, paths: Sequence[str]) -> list[str]:
    """Return a line for each path and remote whose copy is missing or different."""
    jobs = [job for path in paths for job in client.show(path)]
    found = {(job["path"], job["remote"]): job for job in jobs}
    problems = []
    for path in paths:
        for remote in ("drive", "ascii"):
            job = found.get((printable(path), remote))
            reason = "the daemon has no job for it" if job is None else _reason(job, url, path)
            if reason:
                problems.append(f"{printable(path)} to {remote}: {reason}")
    return problems


def _reason(job: Job, url: str, path: str) -> str | None:
    if job["state"] != "done":
        return f"{job['state']}, {job['detail']}"
    try:
        copy = _digest(_copy(job, url))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"cannot read the copy: {error}"
    with open(path, "rb") as file:
        original = hashlib.file_digest(file, "sha256").hexdigest()
    return None if copy == original else "the copy differs"


def _copy(job: Job, url: str) -> Iterator[bytes]:
    ref = job["ref"] or ""
    if job["remote"] == "drive":
        return _get(url, f"/api/files/{ref}")
    key, _, encoding = ref.partition(":")
    text = _get(url, f"/image/{key}")
    return text if encoding == "text" else map(base64.urlsafe_b64decode, text)


def _get(url: str, path: str) -> Iterator[bytes]:
    """Yield the body in blocks of equal size; the last one may be shorter."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise ValueError(f"GET {path}: status {response.status}")
        while block := response.read(_BLOCK_BYTES):
            yield block
    finally:
        connection.close()


def _digest(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
