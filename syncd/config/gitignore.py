"""Parses patterns in gitignore syntax.

The configuration validates patterns with the functions that the watch uses to match them.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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
    with _nested_sets_allowed():
        # The backend is fixed: the faster ones, if installed, cannot match names that are not valid Unicode.
        try:
            return GitIgnoreSpec.from_lines(map(plain, lines), backend="simple")
        except re.error as error:  # pathspec does not translate this exception
            raise ValueError(str(error)) from None


def compile_expression(expression: str) -> re.Pattern[str]:
    """Compile a regular expression that was made of those of a :func:`spec`."""
    with _nested_sets_allowed():
        return re.compile(expression)


@contextmanager
def _nested_sets_allowed() -> Iterator[None]:
    """Ignore a warning of Python's re: `[[]` is valid in gitignore."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def directory(path: str) -> str:
    """Return the pattern that matches the directory at ``path`` and everything below.

    ``/`` separates the parts of ``path``.
    """
    return f"/{GitIgnoreSpecPattern.escape(path)}/"
