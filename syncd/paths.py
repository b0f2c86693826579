"""Converts between absolute paths and (watched folder, relative path) pairs.

A relative path separates its parts by ``/`` on every system.
"""

import os


def full(folder: str, path: str) -> str:
    """Return the absolute path of ``path`` below ``folder``, with the system's separators."""
    return os.path.join(folder, "") + path.replace("/", os.sep)


def inside(folder: str, path: str) -> str | None:
    """Return the absolute ``path`` relative to ``folder``, the inverse of :func:`full`.

    ``""`` stands for ``folder`` itself; None means that ``path`` is not below ``folder``. On Windows the case of
    ``folder`` is ignored; the relative path keeps the case that ``path`` has.
    """
    base, wanted = os.path.normcase(os.path.join(folder, "")), os.path.normcase(path)
    if wanted == os.path.normcase(folder):
        return ""
    return path[len(base) :].replace(os.sep, "/") if wanted.startswith(base) else None
