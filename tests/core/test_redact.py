"""Tests that secrets are redacted in each form in which a server may quote them."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from syncd.core.redact import MASKED, Redactor

SECRET = "p\"ä'ss w\\rd/+=<&>"
ENCODERS = {
    "plain": str,
    "URL": quote,
    "URL's path": lambda text: quote(text, safe=""),
    "Python": lambda text: repr({"X": text}),
    "JSON": lambda text: json.dumps([text]),
    "JSON in UTF-8": lambda text: json.dumps({text: 1}, ensure_ascii=False),
    "HTML": html.escape,
    "Basic": lambda text: f"Basic {base64.b64encode(text.encode()).decode()}",
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_redactor_redacts_each_form(encoding):
    quoted = ENCODERS[encoding](SECRET)
    masked = Redactor([SECRET])(f"before {quoted} after")
    assert MASKED in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert not any(
        part in masked for part in ("ss w", "ss%20w", "%C3%A4", base64.b64encode(SECRET.encode()).decode()[:8])
    )


def test_redactor_secret_with_common_prefix_leaves_no_rest():
    assert Redactor(["token", "token-and-more"])("token-and-more token") == f"{MASKED} {MASKED}"


def test_redactor_ignores_short_secrets():
    assert Redactor(["", "a", "abc"])("abc a") == "abc a"


def test_redactor_without_secrets_keeps_text():
    assert Redactor()("text") == "text"
