"""The tests selected for Windows exist: a renamed file must be renamed there too."""

from pathlib import Path

import pytest

from tests.windows.__main__ import OTHERS, SAME_EVERYWHERE, SHOWN

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [*SHOWN, *(name for name in OTHERS if not name.startswith("-"))])
def test_selection_names_existing_tests(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", SAME_EVERYWHERE)
def test_selection_leaves_out_existing_tests(name):
    assert (ROOT / f"tests/remotes/test_{name}.py").exists()
