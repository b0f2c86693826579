"""Patterns in gitignore syntax, read in one place: what the configuration takes is what the watch can match."""

import re
import warnings
from collections.abc import Iterable

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_LINE_BREAK = "\x1f"
"""Stands for a newline while matching: pathspec's expressions take it for the end of the name."""


def plain(text: str) -> str:
    """Return a name, or a pattern, as it is matched."""
    return text.casefold().replace("\n", _LINE_BREAK)


def spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Read patterns, for names that are :func:`plain`; ValueError for one that is none, as `[Z-a]` is then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[]` is right in gitignore, and doubtful only to Python's re
        # The backend is pinned: the faster ones, where installed, can't match names that are not valid Unicode.
        try:
            return GitIgnoreSpec.from_lines(map(plain, lines), backend="simple")
        except re.error as error:  # which pathspec leaves as it is
            raise ValueError(str(error)) from None


def directory(path: str) -> str:
    """Return the pattern of the one directory at ``path``, with ``/`` between its parts, and of all that is in it."""
    return f"/{GitIgnoreSpecPattern.escape(path)}/"
