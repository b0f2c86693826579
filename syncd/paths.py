"""Where a file is: in a watched folder, at a path below it whose parts are separated by ``/`` on every system."""

import os


def full(folder: str, path: str) -> str:
    """Return the absolute path, as the system writes it, of ``path`` below ``folder``."""
    return os.path.join(folder, "") + path.replace("/", os.sep)


def inside(folder: str, path: str) -> str | None:
    """Return what :func:`full` makes an absolute ``path`` of, ``""`` for ``folder`` itself; None for one elsewhere.

    On Windows a folder has its name in any case; what is below it is returned in the case that was given.
    """
    base, wanted = os.path.normcase(os.path.join(folder, "")), os.path.normcase(path)
    if wanted == os.path.normcase(folder):
        return ""
    return path[len(base) :].replace(os.sep, "/") if wanted.startswith(base) else None
