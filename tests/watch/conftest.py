import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watch.support import Bench, MemorySink

_MEMORY = "/dev/shm"


@pytest.fixture
def place() -> Iterator[Path]:
    """Make room on one file system, in memory where there is one: bursts are to be the watch's work, not the disk's."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def bench(place, sink) -> Bench:
    root = place / "inbox"
    root.mkdir()
    return Bench(root, sink)


@pytest.fixture
def other(place) -> Path:
    """Make a place outside the folder, on the same file system."""
    path = place / "elsewhere"
    path.mkdir()
    return path
