"""Tests of the escapes for display."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.text import printable


@given(name=st.binary(max_size=100).map(lambda name: name.decode("utf-8", "surrogateescape")))
def test_printable_any_bytes_become_one_valid_line(name):
    shown = printable(name)
    assert shown.encode("utf-8").decode() == shown
    assert len(shown.splitlines()) <= 1


def test_printable_examples():
    assert printable("سلام 🌷.jpg") == "سلام 🌷.jpg"
    assert printable("a\udcffb\n.jpg") == r"a\xffb\n.jpg"
    assert printable("a\u2028b\ud800.jpg") == r"a\u2028b\ud800.jpg"
