import pytest

from tests.e2e.processes import Daemon, Receiver


@pytest.fixture
def receiver(tmp_path):
    with Receiver(tmp_path / "server") as running:
        yield running


@pytest.fixture
def daemon(tmp_path, receiver):
    """A daemon for the folder ``inbox`` and both services; not started yet."""
    made = Daemon(tmp_path, receiver.url)
    yield made
    made.kill()
