"""Removes secrets from texts, in each spelling in which a server may quote them.

A server or a proxy may return parts of the request: as JSON, in a URL, as HTML, or as a Python dictionary. Each program
that handles the text may escape other characters, and may escape again what is already escaped. The logs and the
failures of :mod:`syncd.remotes` pass through a :class:`Redactor`; :mod:`syncd.core.spellings` recognises a secret.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from syncd.core.spellings import Text, candidates, to_bytes

MASKED = "***"
_MIN_CHARACTERS = 4
"""A shorter secret is not redacted: that would damage many texts and protect nothing."""


class Redactor:
    """Replaces secrets in texts: ``Redactor(secrets)(text)``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if len(secret) >= _MIN_CHARACTERS for form in _forms(secret)}
        self._forms = sorted(known, key=len, reverse=True)
        self._candidates = re.compile(candidates(self._forms)) if self._forms else None

    def __call__(self, text: str, limit: int | None = None) -> str:
        """Return ``text`` with each secret replaced.

        With ``limit``, return only the first characters of ``text``; a secret that continues after them is replaced
        completely. A text that was truncated before may end with a part of a secret, which is not replaced.
        """
        found = self._candidates.search(text) if self._candidates else None
        return text[:limit] if found is None else self._replace(text, found, len(text) if limit is None else limit)

    def _replace(self, text: str, found: re.Match[str] | None, limit: int) -> str:
        """Return the first ``limit`` characters of ``text`` with each secret replaced.

        ``found`` is the first match of the pattern of :func:`candidates`, or None.
        """
        parts = []
        kept = 0
        examined = Text(text)
        while found and (start := found.start()) < limit:
            end = max(examined.end_of(form, start) for form in self._forms)
            if end:
                parts += [text[kept:start], MASKED]
                kept = end
            found = found.re.search(text, end or start + 1)
        return "".join(parts) + text[kept:limit]


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret, as it is after a URL was normalised, and as a part of Base64."""
    yield secret
    if len(decoded := unquote(secret)) >= _MIN_CHARACTERS:
        yield decoded
    raw = to_bytes(secret)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before in range(3):  # characters that also depend on the bytes before or after the secret are omitted
            start, end = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
            yield encode(bytes(before) + raw).decode()[start:end]
