"""A person reaches each goal, and is shown the truth on the way."""

import io
import sys

import pytest

from tests.journeys.__main__ import play

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="the journeys use a Unix home")]


@pytest.mark.parametrize(("name", "files"), [("phone", 15), ("first", 2000), ("machine", 8)])
def test_goal_is_reached_without_problem(tmp_path, name, files):
    out = io.StringIO()
    assert play(name, tmp_path, files=files, out=out) == [], out.getvalue()
