import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest

from syncd.store.job_store import JobStore
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "syncd.db")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> str:
    """Return the path of an empty store to copy, because Alembic is slow."""

    async def make() -> None:
        await (await JobStore.open(path, clock=ManualClock())).close()

    path = str(tmp_path_factory.mktemp("store") / "empty.db")
    asyncio.run(make())
    return path


@pytest.fixture
async def store(path, clock, empty_store) -> AsyncIterator[JobStore]:
    shutil.copy(empty_store, path)
    store = await JobStore.open(path, clock=clock)
    yield store
    await store.close()


@pytest.fixture
async def remote(store) -> int:
    return (await store.register_remote("drive", "multipart http://drive")).id
