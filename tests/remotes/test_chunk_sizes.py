"""What is learned from requests that a server cuts off."""

from syncd.core.errors import CutOff, Permanent
from syncd.remotes.chunk_sizes import CUT_OFF_ROUNDS, ChunkLimit

MIB = 1024 * 1024


class Endpoint:
    """A limit with a clock of its own."""

    def __init__(self):
        self.now = 0.0
        self.capabilities = {}
        self.limit = ChunkLimit(self.capabilities, minimum=MIB // 16, maximum=4 * MIB, clock=lambda: self.now)

    def send(self, size, *, seconds=60.0, failure=None):
        try:
            with self.limit.learning(size):
                self.now += seconds
                if failure:
                    raise failure
        except (CutOff, Permanent):
            pass

    def cut_off(self, size, times=1):
        for _ in range(times):
            self.now += 1
            self.send(size, failure=CutOff("lost"))


def test_requests_become_smaller_until_they_get_through():
    line = Endpoint()
    line.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    assert line.capabilities == {}
    line.cut_off(4 * MIB)
    assert line.capabilities == {"slow": 2 * MIB}
    assert (line.limit.allows(2 * MIB), line.limit.allows(2 * MIB + 1)) == (True, False)
    line.cut_off(2 * MIB)
    assert line.capabilities == {"slow": MIB}
    for _ in range(20):
        line.cut_off(line.capabilities["slow"])
    assert line.capabilities == {"slow": MIB // 16}


def test_requests_that_are_larger_than_the_limit_tell_nothing():
    """An image goes on in the chunks that it was begun with."""
    line = Endpoint()
    line.cut_off(4 * MIB, CUT_OFF_ROUNDS + 5)
    assert line.capabilities == {"slow": 2 * MIB}


def test_the_limit_is_a_size_that_chunks_of_base64_can_have():
    line = Endpoint()
    line.cut_off(MIB + 9, CUT_OFF_ROUNDS)
    assert line.capabilities == {"slow": MIB // 2 + 4}


def test_one_that_gets_through_ends_the_row():
    line = Endpoint()
    line.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    line.send(4 * MIB)
    line.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    assert line.capabilities == {}


def test_those_in_flight_together_count_once():
    line = Endpoint()
    limits = [line.limit.learning(4 * MIB) for _ in range(8)]
    for limit in limits:
        limit.__enter__()
    line.now += 60
    for limit in limits:
        assert not limit.__exit__(CutOff, CutOff("lost"), None)
    assert line.capabilities == {}


def test_another_failure_tells_nothing():
    line = Endpoint()
    for _ in range(10):
        line.send(4 * MIB, failure=Permanent("no"))
    assert line.capabilities == {}


def test_they_become_larger_again_where_the_line_is_fast():
    line = Endpoint()
    line.capabilities["slow"] = MIB
    line.send(MIB)
    line.send(MIB // 2, seconds=0.1)
    assert line.capabilities == {"slow": MIB}
    line.send(MIB, seconds=0.1)
    assert line.capabilities == {"slow": 2 * MIB}
    line.send(2 * MIB, seconds=0.1)
    assert line.capabilities == {}
