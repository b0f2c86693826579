"""Patterns in gitignore syntax, read in one place: what the configuration takes is what the watch can match."""

import warnings
from collections.abc import Iterable

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern


def spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Read patterns; ValueError for one that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[]` is right in gitignore, and doubtful only to Python's re
        # The backend is pinned: the faster ones, where installed, can't match names that are not valid Unicode.
        return GitIgnoreSpec.from_lines(lines, backend="simple")


def directory(path: str) -> str:
    """Return the pattern of the one directory at ``path``, with ``/`` between its parts, and of all that is in it."""
    return f"/{GitIgnoreSpecPattern.escape(path)}/"
