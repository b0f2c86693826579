"""Test how the chunk limit changes after requests that a server cut off."""

from syncd.core.errors import CutOff, Permanent
from syncd.remotes.chunk_sizes import CUT_OFF_ROUNDS, ChunkLimit

MIB = 1024 * 1024


class SimulatedRequests:
    """A chunk limit with a simulated clock."""

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


def test_limit_halves_after_three_cut_off_rounds():
    requests = SimulatedRequests()
    requests.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    assert requests.capabilities == {}
    requests.cut_off(4 * MIB)
    assert requests.capabilities == {"slow": 2 * MIB}
    assert (requests.limit.allows(2 * MIB), requests.limit.allows(2 * MIB + 1)) == (True, False)
    requests.cut_off(2 * MIB)
    assert requests.capabilities == {"slow": MIB}
    for _ in range(20):
        requests.cut_off(requests.capabilities["slow"])
    assert requests.capabilities == {"slow": MIB // 16}


def test_limit_ignores_cut_off_requests_above_it():
    """A resumed image keeps its chunk size, so its requests may be larger than the limit."""
    requests = SimulatedRequests()
    requests.cut_off(4 * MIB, CUT_OFF_ROUNDS + 5)
    assert requests.capabilities == {"slow": 2 * MIB}


def test_limit_is_a_multiple_of_four():
    requests = SimulatedRequests()
    requests.cut_off(MIB + 9, CUT_OFF_ROUNDS)
    assert requests.capabilities == {"slow": MIB // 2 + 4}


def test_limit_success_resets_cut_off_rounds():
    requests = SimulatedRequests()
    requests.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    requests.send(4 * MIB)
    requests.cut_off(4 * MIB, CUT_OFF_ROUNDS - 1)
    assert requests.capabilities == {}


def test_limit_counts_concurrent_cut_offs_once():
    requests = SimulatedRequests()
    limits = [requests.limit.learning(4 * MIB) for _ in range(8)]
    for limit in limits:
        limit.__enter__()
    requests.now += 60
    for limit in limits:
        assert not limit.__exit__(CutOff, CutOff("lost"), None)
    assert requests.capabilities == {}


def test_limit_ignores_other_failures():
    requests = SimulatedRequests()
    for _ in range(10):
        requests.send(4 * MIB, failure=Permanent("no"))
    assert requests.capabilities == {}


def test_limit_doubles_after_fast_requests():
    requests = SimulatedRequests()
    requests.capabilities["slow"] = MIB
    requests.send(MIB)
    requests.send(MIB // 2, seconds=0.1)
    assert requests.capabilities == {"slow": MIB}
    requests.send(MIB, seconds=0.1)
    assert requests.capabilities == {"slow": 2 * MIB}
    requests.send(2 * MIB, seconds=0.1)
    assert requests.capabilities == {}
