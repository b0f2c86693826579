r"""Recognises a known text in spite of escaped characters.

Each character may be escaped in a different way, and more than once.
A character may be itself, ``%41`` (URL), ``&#65;`` or ``&amp;`` (HTML), or ``\u0041``, ``\x41`` or ``\"`` (JSON and
programming languages). The characters of an escape may be escaped again. Letters match in both cases, as a host name
is in lower case. :mod:`syncd.core.redact` searches secrets with it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from html.entities import html5

_MAX_NESTED = 3
"""An escape may be escaped twice more."""
_STARTS = "%&\\"
"""The characters that start an escape."""
_MAX_ESCAPE_LENGTH = 40
"""Characters of the longest escape, which is a name of HTML, without its first character."""
_SHORT = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_PREFIX_LENGTH = 4
"""Unescaped characters that :func:`candidates` compares."""


class Text:
    """A text in which spellings of other texts are searched.

    It caches the escapes that it has found, so that a search takes linear time.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._escaped: dict[tuple[str, int, int], frozenset[int]] = {}

    def end_of(self, wanted: str, at: int) -> int:
        """Return the end of the longest spelling of ``wanted`` that starts at ``at``.

        ``at`` and the result are offsets in the text. The result is 0 if no spelling starts there.
        """
        return max(self._ends_of_all(wanted, at, _MAX_NESTED), default=0)

    def _ends_of_all(self, wanted: str, at: int, nested: int) -> set[int]:
        """Return each offset at which a spelling of ``wanted`` may end."""
        ends = {at}
        for character in wanted:
            ends = set[int]().union(*(self._ends(character, end, nested) for end in ends))
            if not ends:
                break
        return ends

    def _ends(self, character: str, at: int, nested: int) -> set[int]:
        """Return each offset at which a spelling of one character may end."""
        found = self._text[at : at + 1]
        if not found:
            return set()
        variants = _variants(character)
        ends = {at + 1} if found in variants else set()
        if " " in variants and (spaces := _SPACES.match(self._text, at)):
            ends |= {at + 1, spaces.end()}
        if nested and found in _STARTS:
            key = character, at, nested
            if key not in self._escaped:
                self._escaped[key] = frozenset(self._ends_of_escapes(character, at, nested - 1))
            ends |= self._escaped[key]
        return ends

    def _ends_of_escapes(self, character: str, at: int, nested: int) -> Iterator[int]:
        """Yield each offset at which an escape of a character may end.

        Up to ``nested`` times, the characters of the escape may be escaped themselves.
        """
        for start, rests in _escapes(character).items():
            for end in self._ends(start, at, nested):
                if rest := _pattern(rests).match(self._text, end):
                    yield rest.end()
                if nested and _ESCAPED_SOON.match(self._text, end):
                    for first, others in _by_first_character(rests).items():
                        for after in self._ends(first, end, nested):
                            for other in others:
                                yield from self._ends_of_all(other, after, nested)


_SPACES = re.compile(r"\s+")
_ESCAPED_SOON = re.compile(rf"[#;0-9a-zA-Z]{{0,{_MAX_ESCAPE_LENGTH}}}[%&\\]")


@cache
def _pattern(rests: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, rests)), re.IGNORECASE)


@cache
def _by_first_character(rests: tuple[str, ...]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for rest in rests:
        found[rest[0]].append(rest[1:])
    return found


def candidates(wanted: Iterable[str]) -> str:
    """Return a regular expression that finds where spellings of texts may start.

    It matches at the start of each spelling of a text in ``wanted``, and at some other offsets. Check each
    match with :meth:`Text.end_of`.
    """
    prefixes = {text[:_PREFIX_LENGTH] for text in wanted}
    firsts = {variant for prefix in prefixes for variant in _variants(prefix[0])}
    unescaped = "|".join(sorted({_prefix_pattern(prefix) for prefix in prefixes}))
    escaped = []
    for start in _STARTS:
        rests = {rest for character in (*sorted(firsts), *_STARTS) for rest in _escapes(character)[start]}
        heads = "|".join(sorted({re.escape(rest[:2]) for rest in rests}))
        escaped.append(rf"(?<={re.escape(start)})(?:[%&\\]|.[%&\\]|(?i:{heads}))")
    space = r"\s" if " " in firsts else ""
    return rf"[{space}%&\\{''.join(map(re.escape, sorted(firsts)))}](?:{unescaped}|{'|'.join(escaped)})"


def _prefix_pattern(prefix: str) -> str:
    """Return a pattern for the characters of ``prefix`` after the first.

    If one of these characters is escaped, the match ends with the first character of this escape.
    """
    pattern = ""
    for character in reversed(prefix[1:]):
        pattern = rf"(?:[%&\\]|{_class(character)}{_more_spaces(character)}{pattern})"
    return rf"(?<={_class(prefix[0])}){_more_spaces(prefix[0])}{pattern}"


def _class(character: str) -> str:
    variants = _variants(character)
    return f"[{''.join(map(re.escape, sorted(variants)))}{chr(92) + 's' if ' ' in variants else ''}]"


def _more_spaces(character: str) -> str:
    return r"\s*" if " " in _variants(character) else ""


@cache
def _variants(character: str) -> frozenset[str]:
    """Return the unescaped characters that match ``character``.

    An ASCII letter matches in both cases. A space and a plus sign match each other, as in a URL.
    """
    if character in " +":
        return frozenset(" +")
    return frozenset((character, character.lower(), character.upper()) if character.isascii() else (character,))


def to_bytes(text: str) -> bytes:
    """Encode ``text`` as UTF-8, as a request sends it.

    A surrogate from U+DC80 to U+DCFF stands for a byte that is not UTF-8, and becomes this byte.
    """
    is_byte = ("\udc80" <= character <= "\udcff" for character in text)
    errors = ("surrogateescape" if byte else "surrogatepass" for byte in is_byte)
    return b"".join(character.encode(errors=error) for character, error in zip(text, errors, strict=True))


@cache
def _names() -> dict[str, list[str]]:
    """Return HTML's names of each character."""
    names = defaultdict(list)
    for name, character in html5.items():
        names[character].append(name)
    return names


@cache
def _escapes(character: str) -> dict[str, tuple[str, ...]]:
    """Return the escapes of ``character`` without their first character, by this character."""
    escapes: dict[str, set[str]] = {start: set() for start in _STARTS}
    for variant in _variants(character):
        code = ord(variant)
        escapes["%"].add(to_bytes(variant).hex("%"))
        numbers = {f"#{code:0{digits}}" for digits in range(1, 6)} | {f"#x{code:0{digits}x}" for digits in range(1, 7)}
        escapes["&"] |= numbers | {f"{number};" for number in numbers} | set(_names().get(variant, ()))
        units = variant.encode("utf-16-be", errors="surrogatepass")
        escapes["\\"] |= {"u" + units.hex("\\", 2).replace("\\", "\\u"), f"U{code:08x}"}
        escapes["\\"] |= {_SHORT[variant]} if variant in _SHORT else set()
        if code < 0x100:
            escapes["%"].add(f"{code:02x}")
            escapes["\\"].add(f"x{code:02x}")
        if not variant.isalnum():
            escapes["\\"].add(variant)
    return {start: tuple(sorted(rests, key=len, reverse=True)) for start, rests in escapes.items()}
