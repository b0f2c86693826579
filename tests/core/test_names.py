"""Names for showing."""

import os

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.names import displayed


@given(name=st.binary(max_size=100))
def test_any_bytes_become_one_line_of_valid_unicode(name):
    shown = displayed(os.fsdecode(name))
    assert shown.encode("utf-8").decode() == shown
    assert len(shown.splitlines()) <= 1


def test_examples():
    assert displayed("سلام 🌷.jpg") == "سلام 🌷.jpg"
    assert displayed(os.fsdecode(b"a\xffb\n.jpg")) == r"a\xffb\n.jpg"
