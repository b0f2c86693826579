"""Encodes jobs and files for the control API, exactly, for any bytes in a file name.

The wire form of a job is its id in digits: ``17``. The wire form of a file is a ``file://`` URI with the
percent-encoded bytes of its absolute path: ``file:///srv/inbox/a%20b.jpg``. Paths for display cannot be decoded.
"""

import os
from urllib.parse import quote, unquote_to_bytes

from syncd.platform.files import from_uri_path, to_uri_path

Target = int | str
"""A job's id, or a file's absolute path as the operating system has it (``os.fsdecode``)."""

_SCHEME = "file://"
_MAX_ID = 2**63 - 1
_MAX_PATH_BYTES = 4096


def encode(target: Target) -> str:
    """Return the wire form of a target."""
    return str(target) if isinstance(target, int) else _SCHEME + quote(os.fsencode(to_uri_path(target)))


def decode(text: str) -> Target:
    """Return the id or path of a wire form. Raises ValueError with a message of one line."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MAX_ID:
        return int(text)
    raw = unquote_to_bytes(text.removeprefix(_SCHEME))
    if b"\0" in raw or len(raw) > _MAX_PATH_BYTES:
        raise ValueError("the path in the file:// URI cannot exist")
    path = from_uri_path(os.fsdecode(raw))
    if not text.startswith(_SCHEME) or not os.path.isabs(path):
        raise ValueError("a target is a job's id or a file:// URI with an absolute path")
    return path
