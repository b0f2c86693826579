import pytest

from tests.notify.support import notification_server


@pytest.fixture
async def server():
    """A server that receives notifications."""
    async with notification_server() as server:
        yield server
