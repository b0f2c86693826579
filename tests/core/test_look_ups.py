"""The look-ups of a backlog stop after misses and start again after a hit.

Between the two, they continue as samples.
"""

from syncd.core.look_ups import MAX_MISSES, SAMPLE_INTERVAL, BacklogLookUps


def asked(look_ups: BacklogLookUps, files: int, *, found: bool) -> int:
    """Return how many of so many files are looked up, with this result."""
    count = 0
    for _ in range(files):
        if look_ups.next_is_due():
            count += 1
            look_ups.record(found=found)
    return count


def test_stored_files_are_all_looked_up():
    assert asked(BacklogLookUps(), 1000, found=True) == 1000


def test_misses_end_look_ups_except_samples():
    look_ups = BacklogLookUps()
    assert asked(look_ups, MAX_MISSES, found=False) == MAX_MISSES
    assert asked(look_ups, 10 * SAMPLE_INTERVAL, found=False) == 10


def test_hit_of_sample_starts_look_ups_again():
    look_ups = BacklogLookUps()
    asked(look_ups, MAX_MISSES + 10 * SAMPLE_INTERVAL, found=False)
    assert asked(look_ups, SAMPLE_INTERVAL + 100, found=True) == 101


def test_hit_of_large_file_starts_look_ups_again():
    look_ups = BacklogLookUps()
    asked(look_ups, MAX_MISSES + 1, found=False)
    look_ups.record(found=True)
    assert asked(look_ups, 100, found=True) == 100
