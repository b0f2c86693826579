"""Encodes jobs and files for the control API, exactly, for any bytes in a file name.

The wire form of a job is its id in digits: ``17``. The wire form of a file is a ``file://`` URI with the
percent-encoded bytes of its absolute path: ``file:///srv/inbox/a%20b.jpg``. Paths for display cannot be decoded.
"""

import os
import sys
from urllib.parse import quote, unquote_to_bytes

Target = int | str
"""A job's id, or a file's absolute path as the operating system has it (``os.fsdecode``)."""

_SCHEME = "file://"
_MAX_ID = 2**63 - 1
_MAX_PATH_BYTES = 4096

if sys.platform == "win32":

    def _to_uri(path: str) -> str:
        r"""Return ``/C:/photos`` for ``C:\photos``, and ``server/share`` for ``\\server\share``."""
        slashed = path.replace("\\", "/")
        return slashed[2:] if slashed.startswith("//") else f"/{slashed}"

    def _from_uri(path: str) -> str:
        return (path[1:] if path.startswith("/") else f"//{path}").replace("/", "\\")

else:

    def _to_uri(path: str) -> str:
        return path

    def _from_uri(path: str) -> str:
        return path


def encode(target: Target) -> str:
    """Return the wire form of a target."""
    return str(target) if isinstance(target, int) else _SCHEME + quote(os.fsencode(_to_uri(target)))


def decode(text: str) -> Target:
    """Return the id or path of a wire form. Raises ValueError with a message of one line."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _MAX_ID:
        return int(text)
    raw = unquote_to_bytes(text.removeprefix(_SCHEME))
    if b"\0" in raw or len(raw) > _MAX_PATH_BYTES:
        raise ValueError("the path in the file:// URI cannot exist")
    path = _from_uri(os.fsdecode(raw))
    if not text.startswith(_SCHEME) or not os.path.isabs(path):
        raise ValueError("a target is a job's id or a file:// URI with an absolute path")
    return path
