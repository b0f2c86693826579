"""Checks the names of files that come from elsewhere into a watched folder.

It comes from a browser, maybe on another system, and is a name and never a path: what could lead elsewhere, hide the
file, or can't be copied to another system is refused, not mended.
"""

import re
import unicodedata

LONGEST = 240
"""Bytes of a name: file systems take 255, and a number may have to go in."""

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, lone surrogates, and ends of lines and paragraphs."""
_NOT_ON_WINDOWS = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])\s*(\..*)?", re.IGNORECASE)


def safe_name(name: str, *, windows: bool) -> str:
    """Return ``name`` as it is to be written: composed, as Unicode has it and macOS has not.

    ValueError, with what is wrong in words to follow the name, if it is not safe. ``windows`` says whether it is to be
    written there: what only Windows can't have is refused by no other system.
    """
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise ValueError("a file needs a name")
    if "/" in name or "\\" in name:
        raise ValueError("a name has no slash and no backslash")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise ValueError("a name has no control characters")
    if name.startswith("."):
        raise ValueError("a name that begins with a dot is that of a hidden file")
    if name.endswith((".", " ")):
        raise ValueError("a name that ends with a dot or a space can't be used on every system")
    if _DEVICES.fullmatch(name):
        raise ValueError("Windows has a device of this name")
    if windows and not possible_on_windows(name):
        raise ValueError('on Windows a name has none of < > : " | ? *')
    if len(name.encode()) > LONGEST:
        raise ValueError(f"a name has at most {LONGEST} bytes")
    return name


def possible_on_windows(name: str) -> bool:
    """Say whether Windows' file systems can have a file or a folder of that name, and not something else.

    ``a.jpg:b`` would be a stream of ``a.jpg``. What only some programs can't use, as ``aux.jpg``, is possible.
    """
    return name not in ("", ".", "..") and not _NOT_ON_WINDOWS.search(name)


def numbered(name: str, number: int) -> str:
    """Return the ``number``-th name for a file whose name is taken: ``a.jpg``, ``a (2).jpg``, ``a (3).jpg``."""
    if number == 1:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
