r"""Escapes texts for display, JSON and log lines, and writes a count with its noun.

In memory a path is the result of ``os.fsdecode``: bytes that are not UTF-8 are lone surrogates, which no encoder
accepts. Control characters could move the cursor of a terminal, and direction characters could reverse a line.
"""

import re

_LINE_BREAKS = "\x7f-\x9f\u2028\u2029"
_SURROGATES = "\ud800-\udfff"
_DIRECTIONS = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"
_UNPRINTABLE = re.compile(f"[\x00-\x1f{_LINE_BREAKS}{_SURROGATES}]")
_DIRECTION = re.compile(f"[{_DIRECTIONS}]")
_UNSAFE_ON_TERMINAL = re.compile(f"[\x00-\x1f{_LINE_BREAKS}{_SURROGATES}{_DIRECTIONS}]")
_SURROGATE = re.compile(f"[{_SURROGATES}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""Return ``text`` as one line of valid Unicode.

    A newline becomes ``\n``, and a byte that is not UTF-8 becomes ``\xff``.
    """
    return text if text.isprintable() else _UNPRINTABLE.sub(_short_escape, text)


def terminal_safe(text: str) -> str:
    """Return ``text`` as :func:`printable` does, with direction characters escaped too."""
    return _DIRECTION.sub(_unicode_escape, printable(text))


def escape_unsafe(text: str) -> str:
    r"""Return ``text`` with each character that is unsafe on a terminal as ``\uXXXX``."""
    return _UNSAFE_ON_TERMINAL.sub(_unicode_escape, text)


def escape_surrogates(text: str) -> str:
    r"""Return ``text`` with each byte that is not UTF-8 as ``\xff``; other characters stay."""
    return text if text.isascii() else _SURROGATE.sub(_short_escape, text)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``2 files``, ``1,000 files``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _short_escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _unicode_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
