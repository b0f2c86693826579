import pytest

from tests.e2e.processes import Receiver
from tests.recovery.harness import RecoveryHarness


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    with Receiver(tmp_path_factory.mktemp("receiver") / "server") as running:
        yield running


@pytest.fixture
def site(tmp_path, receiver):
    return RecoveryHarness(tmp_path, receiver)
