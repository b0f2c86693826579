"""Parses patterns in gitignore syntax.

The configuration validates patterns with the functions that the watch uses to match them.
"""

import re
import warnings
from collections.abc import Iterable

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_LINE_BREAK = "\x1f"
"""Replaces a newline while matching, because pathspec's expressions end the name at a newline."""


def plain(text: str) -> str:
    """Return a name or a pattern in the form that is matched: case-folded, without newlines."""
    return text.casefold().replace("\n", _LINE_BREAK)


def spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Parse patterns for names in their :func:`plain` form.

    Raise ValueError for an invalid one, such as `[Z-a]`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[]` is valid in gitignore, only Python's re warns about it
        # The backend is fixed: the faster ones, if installed, cannot match names that are not valid Unicode.
        try:
            return GitIgnoreSpec.from_lines(map(plain, lines), backend="simple")
        except re.error as error:  # pathspec does not translate this exception
            raise ValueError(str(error)) from None


def directory(path: str) -> str:
    """Return the pattern that matches the directory at ``path`` and everything below.

    ``/`` separates the parts of ``path``.
    """
    return f"/{GitIgnoreSpecPattern.escape(path)}/"
