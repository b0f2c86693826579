from collections.abc import AsyncIterator

import pytest

from syncd.store.jobs import JobStore
from tests.store.support import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "syncd.db")


@pytest.fixture
async def store(path, clock) -> AsyncIterator[JobStore]:
    store = await JobStore.open(path, clock=clock)
    yield store
    await store.close()


@pytest.fixture
async def remote(store) -> int:
    return (await store.remote("drive", "multipart http://drive")).id
