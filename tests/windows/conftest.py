import pytest

from tests.windows.harness import running


@pytest.fixture
def harness(tmp_path):
    with running(tmp_path) as made:
        yield made
