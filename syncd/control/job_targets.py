"""Encodes and decodes the targets of commands in the control API: jobs and files.

A target is the parameter ``target`` or ``targets`` of a request such as *retry*. Its encoded form is a job's id in
digits, ``17``, or a ``file://`` URI with the percent-encoded bytes of an absolute path,
``file:///srv/inbox/a%20b.jpg``. Unlike the paths for display, it is exact for file names that are not valid Unicode.
"""

import os
from urllib.parse import quote, unquote_to_bytes

from syncd.platform.files import from_uri_path, to_uri_path

Target = int | str
"""A job's id, or a file's absolute path as the operating system has it (``os.fsdecode``)."""

_SCHEME = "file://"
_MAX_ID = 2**63 - 1
_MAX_PATH_BYTES = 4096


def encode_target(target: Target) -> str:
    """Return the encoded form of a target."""
    return str(target) if isinstance(target, int) else _SCHEME + quote(os.fsencode(to_uri_path(target)))


def decode_target(text: str) -> Target:
    """Return the id or path in an encoded target.

    Raises ValueError with a message of one line.
    """
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MAX_ID:
        return int(text)
    raw = unquote_to_bytes(text.removeprefix(_SCHEME))
    if b"\0" in raw or len(raw) > _MAX_PATH_BYTES:
        raise ValueError("the path in the file:// URI cannot exist")
    path = from_uri_path(os.fsdecode(raw))
    if not text.startswith(_SCHEME) or not os.path.isabs(path):
        raise ValueError("a target is a job's id or a file:// URI with an absolute path")
    return path
