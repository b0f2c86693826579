"""The groups of a parallel run."""

import os

import pytest

from tests.parallel import GROUPS, group


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/faults/test_kills.py::test_a", "faults"),
        ("tests/simulation/test_simulation.py::test_a", "simulation"),
        ("tests/browser/test_dashboard.py::test_a[x/y::z]", "browser"),
        ("tests/core/test_chunks.py::test_a[x/y::z]", "tests/core/test_chunks.py"),
        ("tests/test_docs.py::test_log_events_are_documented", "tests/test_docs.py"),
    ],
)
def test_group_is_module_or_folder(nodeid, name):
    assert group(nodeid) == name


def test_grouped_folders_exist():
    assert [folder for folder in GROUPS if not os.path.isdir(folder)] == []
