"""How a file or a job is named on the wire, exactly, whatever bytes the name has.

A job goes as its id in digits, a file as a ``file://`` URI that holds the bytes of its absolute path, percent-encoded:
``17``, ``file:///srv/inbox/a%20b.jpg``. Paths for showing are another matter; they can't be turned back.
"""

import os
import sys
from urllib.parse import quote, unquote_to_bytes

Target = int | str
"""A job's id, or a file's absolute path as the operating system has it (``os.fsdecode``)."""

_SCHEME = "file://"
_LARGEST_ID = 2**63 - 1
_LONGEST_PATH = 4096

if sys.platform == "win32":

    def _to_uri(path: str) -> str:
        r"""Make ``/C:/photos`` of ``C:\photos``, and ``server/share`` of ``\\server\share``."""
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
    """Return the form that goes over the wire; :func:`decode` turns it back."""
    return str(target) if isinstance(target, int) else _SCHEME + quote(os.fsencode(_to_uri(target)))


def decode(text: str) -> Target:
    """Return the id or the path that ``text`` names; ValueError with one line where it names neither."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _LARGEST_ID:
        return int(text)
    raw = unquote_to_bytes(text.removeprefix(_SCHEME))
    if b"\0" in raw or len(raw) > _LONGEST_PATH:
        raise ValueError("the file:// URI holds no path that can exist")
    path = _from_uri(os.fsdecode(raw))
    if not text.startswith(_SCHEME) or not os.path.isabs(path):
        raise ValueError("a target is a job's id or a file:// URI with an absolute path")
    return path
