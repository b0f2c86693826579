"""The groups of a parallel run."""

import os

import pytest

from tests.parallel import TOGETHER, group


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/faults/test_kills.py::test_a", "load"),
        ("tests/simulation/test_simulation.py::test_a", "load"),
        ("tests/browser/test_dashboard.py::test_a[x/y::z]", "browser"),
        ("tests/core/test_chunks.py::test_a[x/y::z]", "tests/core/test_chunks.py"),
        ("tests/test_docs.py::test_events", "tests/test_docs.py"),
    ],
)
def test_groups(nodeid, name):
    assert group(nodeid) == name


def test_each_folder_is_there():
    assert [folder for folder in TOGETHER if not os.path.isdir(folder)] == []
