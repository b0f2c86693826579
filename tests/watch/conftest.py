import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watch.support import MemoryRecords, WatchHarness

_MEMORY = "/dev/shm"


@pytest.fixture
def base() -> Iterator[Path]:
    """Create a folder, in memory if possible, so that bursts of files do not wait for a disk."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def harness(base, records) -> WatchHarness:
    root = base / "inbox"
    root.mkdir()
    return WatchHarness(root, records)


@pytest.fixture
def other(base) -> Path:
    """Create a folder outside the watched one, on the same file system."""
    path = base / "elsewhere"
    path.mkdir()
    return path
