import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.control import job_targets

paths = (
    st.binary(min_size=1, max_size=255).filter(lambda raw: b"\0" not in raw).map(lambda raw: os.fsdecode(b"/" + raw))
)


@given(paths)
def test_decode_inverts_encode_for_paths(path):
    wire = job_targets.encode_target(path)
    assert wire.isascii()
    assert job_targets.decode_target(wire) == path


@given(st.integers(0, 2**63 - 1))
def test_decode_inverts_encode_for_ids(number):
    assert job_targets.decode_target(job_targets.encode_target(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/srv/a",
        "file:relative",
        "file://host/a",
        "file:///a%00b",
        "-1",
        "1.5",
        "१७",
        str(2**63),
        "9" * 5000,
        "file:///" + "a" * 5000,
    ],
)
def test_decode_invalid_text_raises(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        job_targets.decode_target(text)
