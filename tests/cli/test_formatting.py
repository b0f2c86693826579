import pytest

from syncd.cli import formatting


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_150, "9.9 KiB"),
        (10_240, "10 KiB"),
        (1_048_200, "1.0 MiB"),
        (1_048_576, "1.0 MiB"),
        (5 * 2**40, "5.0 TiB"),
        (2**70, "1048576 PiB"),
    ],
)
def test_size_has_two_or_three_digits(count, text):
    assert formatting.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.96, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_399.7, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_duration_has_at_most_two_units(seconds, text):
    assert formatting.duration(seconds) == text


def test_count_adds_plural():
    assert [formatting.count(number, "file") for number in (0, 1, 1000)] == ["0 files", "1 file", "1,000 files"]
