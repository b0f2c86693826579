from syncd.core.remaining_time import JOB_BYTES, SMOOTHING_SECONDS, RemainingTime, work


def test_remaining_time_steady_rate_is_exact():
    remaining = RemainingTime()
    remaining.start(100.0)
    for second in range(1, 300):
        remaining.observe(100.0 + second, jobs=2 * second, size=1000 * second)
        left = remaining.seconds(100.0 + second, jobs=2 * 50, size=1000 * 50)
        assert abs(left - 50) < 0.001


def test_remaining_time_without_work_is_zero():
    assert RemainingTime().seconds(0.0, jobs=0, size=0) == 0.0


def test_remaining_time_unknown_until_something_moves():
    remaining = RemainingTime()
    remaining.start(0.0)
    assert remaining.seconds(0.5, jobs=3, size=100) is None
    remaining.observe(30.0, jobs=0, size=0)
    assert remaining.seconds(30.0, jobs=3, size=100) is None
    remaining.observe(31.0, jobs=1, size=100)
    assert remaining.seconds(31.0, jobs=3, size=100) > 0
    assert remaining.seconds(32.0 + SMOOTHING_SECONDS, jobs=3, size=100) is None


def test_remaining_time_does_not_jump_with_rate():
    """The rate alternates between four times as much and nothing every five seconds."""
    remaining, done, left, seen = RemainingTime(), 0, 3000, []
    remaining.start(0.0)
    for second in range(1, 600):
        done += 4 if second // 5 % 2 else 0
        remaining.observe(float(second), jobs=done, size=0)
        if second > 100:
            seen.append(remaining.seconds(float(second), jobs=left - done, size=0) + second)
    assert max(seen) / min(seen) < 1.15  # the predicted end


def test_remaining_time_large_file_does_not_count_as_stall():
    remaining = RemainingTime()
    remaining.start(0.0)
    for second in range(1, 200):
        remaining.observe(float(second), jobs=100, size=1_000_000 * second)  # only the bytes of one file move
    left = remaining.seconds(200.0, jobs=100, size=100_000_000)
    assert 100 <= left <= 130


def test_remaining_time_skip_leaves_pause_out():
    remaining = RemainingTime()
    remaining.start(0.0)
    for second in range(1, 11):
        remaining.observe(float(second), jobs=second, size=0)
    remaining.skip(10_000.0)
    assert remaining.seconds(10_000.0, jobs=7, size=0) == 7.0
    remaining.observe(10_001.0, jobs=11, size=0)
    assert abs(remaining.seconds(10_001.0, jobs=7, size=0) - 7.0) < 0.001


def test_work_counts_each_job():
    assert work(2, 50) == 2 * JOB_BYTES + 50
