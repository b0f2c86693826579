"""Tests that secrets are redacted in each form in which a server may quote them."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.redact import MASKED, Redactor

SECRET = "p\"ä'ss w\\rd/+=<&>"
ENCODERS = {
    "plain": str,
    "URL": quote,
    "URL's path": lambda text: quote(text, safe=""),
    "URL with other safe characters": lambda text: quote(text, safe="=+"),
    "URL in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
    "URL in a URL": lambda text: quote(quote(text, safe="=")),
    "URL with each character escaped": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "URL in Latin-1": lambda text: quote(text, encoding="latin-1"),
    "form": quote_plus,
    "hexadecimal": lambda text: "".join(f"\\x{ord(character):02x}" for character in text),
    "Python": lambda text: repr({"X": text}),
    "JSON": lambda text: json.dumps([text]),
    "JSON in UTF-8": lambda text: json.dumps({text: 1}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "HTML with numbers": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "URL in HTML in JSON": lambda text: json.dumps(html.escape(quote(text, safe="&<'"))),
    "host name": str.lower,
    "Base64 with a name before": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
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


def escapes(character: str, *, within: bool = True) -> st.SearchStrategy[str]:
    """Generate spellings of a character: plain or escaped.

    With ``within``, the characters of an escape can be escaped again.
    """
    number = ord(character)
    percent = "".join(f"%{byte:02X}" for byte in character.encode())
    found = [character, percent, percent.lower(), f"&#{number};", f"&#x{number:x};", json.dumps(character)[1:-1]]
    if number < 0x10000:
        found += [f"\\u{number:04x}", f"\\u{number:04X}"]
    if character in "&<>\"'":
        found.append(html.escape(character))
    once = st.sampled_from(found)
    return st.one_of(once, once.flatmap(spellings_of_escape)) if within else once


def spellings_of_escape(text: str) -> st.SearchStrategy[str]:
    return st.tuples(*(escapes(character, within=False) for character in text)).map("".join)


secret_texts = st.text(
    st.one_of(st.sampled_from("aZ09%25&amp;\\u+/= \"'<"), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=4,
    max_size=12,
)
around = st.text("aZ%&\\;2 #x", max_size=4)


@given(st.data(), secret_texts, around, around)
def test_redactor_redacts_any_mix_of_escapes(data, secret, before, after):
    spelled = "".join(data.draw(escapes(character)) for character in secret)
    masked = Redactor([secret])(f"{before}{spelled}{after}")
    assert MASKED in masked
    assert spelled not in masked


@given(secret_texts, st.text("aZ09=+/&%", max_size=9), st.text("aZ09=+/&%\\;", max_size=9))
def test_redactor_redacts_quoted_with_any_safe_characters(secret, before, safe):
    masked = Redactor([secret])(before + quote(secret, safe=safe))
    assert MASKED in masked
    assert secret not in unquote(masked.replace(MASKED, ""))


@pytest.mark.parametrize("spelled", [SECRET, quote(SECRET, safe=""), quote(quote(SECRET))])
def test_redactor_limit_within_a_secret_leaves_no_part(spelled):
    text = f"before {spelled} after"
    for limit in range(len("before "), len("before ") + len(spelled)):
        assert Redactor([SECRET])(text, limit + 1) == f"before {MASKED}"
    assert Redactor([SECRET])(text, 3) == "bef"
    assert Redactor([])(text, 3) == "bef"


@pytest.mark.parametrize("text", ["%25" * 1000, "\\" * 2000, "&amp;" * 700, "%2541" * 700, "SSSSS", "\\u0053" * 500])
def test_redactor_keeps_escapes_of_other_texts(text):
    assert Redactor([SECRET, "Secret-Of-Another-Remote"])(text) == text


def test_redactor_redacts_what_is_left_after_url_is_normalised():
    assert Redactor(["token%41/b"])("GET /tokenA/b") == f"GET /{MASKED}"


def test_redactor_redacts_lone_surrogates():
    secrets = ["to\udcffken", "to\ud800ken"]
    assert Redactor(secrets)(" ".join(secrets)) == f"{MASKED} {MASKED}"
    assert Redactor(secrets)("to%FFken") == MASKED
