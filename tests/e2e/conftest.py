import pytest

from tests.support.processes import DaemonProcess, ReceiverProcess


@pytest.fixture
def receiver(tmp_path):
    with ReceiverProcess(tmp_path / "server") as running:
        yield running


@pytest.fixture
def daemon(tmp_path, receiver):
    """A daemon for the folder ``inbox`` and both services; not started yet."""
    made = DaemonProcess(tmp_path, receiver.url)
    yield made
    made.kill()
