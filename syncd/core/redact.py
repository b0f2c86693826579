"""Keeping secrets out of texts, in whatever form somebody else quotes them back.

A server or a proxy may answer with the request that it was sent: as JSON, in a URL, or as Python shows a dictionary.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MASKED = "***"
_SHORTEST = 4
"""Characters; a shorter secret would blot out half of every text, and protect nothing."""


class Redactor:
    """Blots secrets out of texts: ``Redactor(secrets)(text)``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        forms = sorted({form for secret in known for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def __call__(self, text: str) -> str:
        """Return ``text`` without any of them."""
        return self._pattern.sub(MASKED, text) if self._pattern else text


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it may turn up: plain, in a URL, in quotes of Python or JSON, in HTML, in a Basic header."""
    yield from (secret, quote(secret), quote(secret, safe=""), html.escape(secret))
    yield from (form[1:-1] for form in (repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False)))
    yield base64.b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=")
