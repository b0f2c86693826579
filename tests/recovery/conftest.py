import pytest

from tests.recovery.harness import RecoveryHarness
from tests.support.processes import ReceiverProcess


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    with ReceiverProcess(tmp_path_factory.mktemp("receiver") / "server") as running:
        yield running


@pytest.fixture
def harness(tmp_path, receiver):
    return RecoveryHarness(tmp_path, receiver)
