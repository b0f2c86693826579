"""Tests of the names of uploaded files: a safe name is one name on every system."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core import filenames
from syncd.core.filenames import MAX_NAME_BYTES, numbered, possible_on_windows
from syncd.core.text import printable

WINDOWS = os.name == "nt"
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}


def safe_name(name, windows=WINDOWS):
    return filenames.safe_name(name, windows=windows)


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a b (2).JPG", "Ünïcode \U0001f600.png", "a..b.jpg", "con artist.jpg", "console.jpg", "a" * 236 + ".jpg"],
)
def test_safe_name_keeps_safe_names(name):
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "must not be empty"),
        ("../a.jpg", "a slash or a backslash"),
        ("/etc/a.jpg", "a slash or a backslash"),
        ("..\\a.jpg", "a slash or a backslash"),
        ("a\0.jpg", "control"),
        ("a\n.jpg", "control"),
        ("a\x7f.jpg", "control"),
        ("a\u2028.jpg", "control"),
        ("a\udcff.jpg", "control"),
        (".", "hidden"),
        ("..", "hidden"),
        (".a.jpg", "hidden"),
        ("a.jpg ", "dot or a space"),
        ("a.jpg.", "dot or a space"),
        ("CON", "device"),
        ("nul.jpg", "device"),
        ("Aux .tar.jpg", "device"),
        ("com1.png", "device"),
        ("a" * 237 + ".jpg", "240 bytes"),
        ("ü" * 119 + ".jpg", "240 bytes"),
    ],
)
def test_safe_name_unsafe_name_reports_reason(name, why):
    with pytest.raises(ValueError, match=why) as caught:
        safe_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["0:", "0:.jpg", "a.jpg:b.jpg", "?.png", "a*", 'a"b', "<a>.png", "a|b.jpg"])
def test_safe_name_windows_characters_refused_only_there(name):
    assert safe_name(name, windows=False) == name
    assert not possible_on_windows(name)
    with pytest.raises(ValueError, match="on Windows"):
        safe_name(name, windows=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb"])
def test_possible_on_windows_path_or_control_is_false(name):
    assert not possible_on_windows(name)


def test_safe_name_decomposed_name_is_composed():
    assert safe_name("u\u0308.jpg") == "ü.jpg"


@given(st.text(max_size=20) | st.text(alphabet="./\\\0aCONPRLT1 \n", max_size=8))
def test_safe_name_result_is_one_printable_name(name):
    try:
        safe = safe_name(name)
    except ValueError:
        return
    assert safe == unicodedata.normalize("NFC", name)
    assert os.path.basename(safe) == safe
    assert os.path.normpath(safe) == safe
    assert not safe.startswith(".")
    assert printable(safe) == safe
    assert 0 < len(os.fsencode(safe)) <= MAX_NAME_BYTES
    assert safe.split(".")[0].strip().lower() not in DEVICES


def test_numbered_puts_number_before_suffix():
    assert [numbered("a.b.jpg", number) for number in (1, 2, 10)] == ["a.b.jpg", "a.b (2).jpg", "a.b (10).jpg"]
    assert numbered("README", 2) == "README (2)"


@given(st.text(min_size=1, max_size=20), st.integers(2, 99), st.integers(2, 99))
def test_numbered_names_are_safe_and_distinct(name, one, other):
    try:
        name = safe_name(name)
    except ValueError:
        return
    assert safe_name(numbered(name, one)) == numbered(name, one) != name
    assert (numbered(name, one) == numbered(name, other)) == (one == other)
