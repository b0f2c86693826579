import pytest

from tests.watch.support import Bench, MemorySink


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def bench(tmp_path, sink) -> Bench:
    root = tmp_path / "inbox"
    root.mkdir()
    return Bench(root, sink)


@pytest.fixture
def other(tmp_path):
    """A place outside the folder, on the same file system."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    return path
