"""File names as people and JSON can take them.

In memory a path is what ``os.fsdecode`` gives: bytes that are not UTF-8 are lone surrogates, which no encoder
of text accepts.
"""

import re

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(path: str) -> str:
    r"""Return ``path`` on one line and in valid Unicode: a byte that is not UTF-8 as ``\xff``, a newline as ``\n``."""
    return _UNPRINTABLE.sub(_escaped, path)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
