import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config.units import (
    DURATION_UNITS,
    SIZE_UNITS,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("5MiB", 5 * 2**20), ("10MB", 10**7), ("0.5KiB", 512), ("48 kib", 49152), ("1B", 1), ("0", 0)],
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("30d", 2_592_000.0), ("1.5s", 1.5), ("0", 0.0)],
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_parse_rate() -> None:
    assert parse_rate("2MiB/s") == 2 * 2**20
    assert parse_rate("500 kB / s") == 500_000


@pytest.mark.parametrize("text", ["", "5", "1M", "-1s", "1 h 30 m", "\u0665s", "1e3s", "inf", "5MiB"])
def test_parse_duration_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "5M", "-1", "0x10", "1_000", "\u0665", "5s", "1.MiB"])
def test_parse_size_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="write a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["2MiB", "2MiB/h", "/s", "fast/s"])
def test_parse_rate_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="write a rate"):
        parse_rate(text)


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_parse_size_inverts_format_size(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(min_value=0, max_value=10**12))
def test_parse_duration_inverts_format_duration(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 10**6), st.sampled_from(sorted(SIZE_UNITS)))
def test_parse_size_knows_every_unit(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * SIZE_UNITS[unit]


@given(st.integers(0, 10**6), st.sampled_from(sorted(DURATION_UNITS)))
def test_parse_duration_knows_every_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * DURATION_UNITS[unit] / 1000


@given(st.text() | st.from_regex(r"\A[0-9.]{1,20} ?[A-Za-z]{0,3}(/s)?\Z"))
def test_parse_any_text_returns_or_raises_value_error(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_rate):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
