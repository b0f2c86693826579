"""An xdist scheduler that keeps groups of tests in one process, the longest groups first.

A module is never divided, because its tests share fixtures. The tests in `tests/faults` load the machine and are one
group, because two of them would slow each other down too much on two cores.
"""

from xdist.scheduler import LoadScopeScheduling

GROUPS = {"tests/faults": "faults", "tests/simulation": "simulation", "tests/browser": "browser"}
"""The group of all tests in a folder. Every other module is a group."""


def group(nodeid: str) -> str:
    """Return the name of the group that a test belongs to."""
    module = nodeid.partition("::")[0]
    return GROUPS.get(module.rpartition("/")[0], module)


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


class Scheduling(LoadScopeScheduling):
    """Gives each process one group after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)

    def _assign_work_unit(self, node) -> None:
        first = next((name for name in GROUPS.values() if name in self.workqueue), None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
