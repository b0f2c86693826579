"""Checks the names of files that a browser uploads into a watched folder.

The browser may run on another system. A name that is a path, hides the file, or is impossible on another system is
refused, not corrected.
"""

import re
import unicodedata

MAX_NAME_BYTES = 240
"""Most file systems allow 255 bytes; the rest is for the number that :func:`numbered` adds."""

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""The Unicode categories of control characters, lone surrogates, line and paragraph separators."""
_NOT_ON_WINDOWS = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])\s*(\..*)?", re.IGNORECASE)


def safe_name(name: str, *, windows: bool) -> str:
    """Return ``name`` in Unicode's composed form (NFC); macOS sends the decomposed form.

    ValueError, with the reason as its message, if the name is not safe. ``windows`` also refuses the characters that
    are impossible only on Windows.
    """
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise ValueError("a file name must not be empty")
    if "/" in name or "\\" in name:
        raise ValueError("a file name must not contain a slash or a backslash")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise ValueError("a file name must not contain control characters")
    if name.startswith("."):
        raise ValueError("a file name must not begin with a dot: the file would be hidden")
    if name.endswith((".", " ")):
        raise ValueError("a file name must not end with a dot or a space: some systems cannot store it")
    if _DEVICES.fullmatch(name):
        raise ValueError("this is the name of a device on Windows")
    if windows and not possible_on_windows(name):
        raise ValueError('on Windows, a file name must not contain < > : " | ? *')
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"a file name must not be longer than {MAX_NAME_BYTES} bytes")
    return name


def possible_on_windows(name: str) -> bool:
    """Return whether ``name`` can be the name of a file or a directory on Windows.

    ``a.jpg:b`` cannot: it would be a stream of ``a.jpg``. ``aux.jpg`` can, although some programs cannot open it.
    """
    return name not in ("", ".", "..") and not _NOT_ON_WINDOWS.search(name)


def numbered(name: str, number: int) -> str:
    """Return ``name`` with ``number`` if it is 2 or more: ``a.jpg``, ``a (2).jpg``."""
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
