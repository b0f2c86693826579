"""Removes secrets from texts, in each form in which a server may quote them.

A server or a proxy may return parts of the request: as JSON, in a URL, or as a Python dictionary. The logs and the
failures of :mod:`syncd.remotes` pass through a :class:`Redactor`.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MASKED = "***"
_MIN_CHARACTERS = 4
"""A shorter secret is not redacted: that would damage many texts and protect nothing."""


class Redactor:
    """Replaces secrets in texts: ``Redactor(secrets)(text)``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _MIN_CHARACTERS}
        forms = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def __call__(self, text: str) -> str:
        """Return ``text`` with each secret replaced."""
        return self._pattern.sub(MASKED, text) if self._pattern else text


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it appears in plain text, URLs, HTML, Python, JSON, Basic headers."""
    yield from (secret, quote(secret), quote(secret, safe=""), html.escape(secret))
    yield from (form[1:-1] for form in (repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False)))
    yield base64.b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=")
