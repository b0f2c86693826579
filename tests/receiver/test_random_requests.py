"""Random requests get documented responses in the API's error format, never a 500."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.receiver.serve import serve
from syncd.receiver.settings import Settings
from tests.receiver.conftest import ReceiverClient, sha256
from tests.support.data import POOL

SHA = sha256(b"text")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 5)
    | st.floats()
    | st.text()
    | st.sampled_from([SHA, POOL, "text", "image/png", "2100-01-01T00:00:00Z", 10**400]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


def payloads(good: dict[str, object]) -> st.SearchStrategy[object]:
    """Generate a valid payload, one with fields replaced or omitted, or any JSON value."""
    spoilt = st.fixed_dictionaries({}, optional={name: st.just(value) | VALUES for name, value in good.items()})
    return st.just(good) | spoilt | spoilt.map(lambda some: good | some) | VALUES


REGISTER = payloads({"sha256": SHA, "size": 4, "chunk_size": 2})
CHUNK = payloads({"id": 0, "size": 2, "data": "te"})
CREATE = payloads(
    {
        "hash": SHA,
        "file_name": "a.png",
        "file_size": 4,
        "content_type": "image/png",
        "pool_id": POOL,
        "bundle_id": POOL,
        "expired_at": "2100-01-01T00:00:00Z",
        "chunk_size": 2,
        "encrypt_password": "",
    }
)
CALLS = (
    st.tuples(st.just("/image"), REGISTER, st.just({201, 400, 409}))
    | st.tuples(st.just(f"/image/{SHA}/chunks"), CHUNK, st.just({201, 400, 404, 409}))
    | st.tuples(st.just("/api/files/upload/create"), CREATE, st.just({200, 400, 403}))
)


async def check(client: ReceiverClient, path: str, payload: object, allowed: set[int]) -> None:
    body = json.dumps(payload).encode()
    answer = await client.call("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status in allowed, (answer.status, answer.body)
    if answer.status >= 400:
        assert set(await answer.json()) in ({"code", "message"}, {"code", "message", "status"})


@pytest.fixture
def loop_and_client(tmp_path: Path):
    """A receiver and its event loop, because Hypothesis calls synchronous functions."""
    with asyncio.Runner() as runner:
        stop = asyncio.Event()

        async def begin() -> tuple[asyncio.Task[None], ReceiverClient]:
            url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(
                serve(
                    Settings(folder=str(tmp_path), fsync=False),
                    host="127.0.0.1",
                    port=0,
                    ready=url.set_result,
                    stop=stop,
                )
            )
            return serving, ReceiverClient(await url, aiohttp.ClientSession())

        async def end() -> None:
            await client.session.close()
            stop.set()
            await serving

        serving, client = runner.run(begin())
        yield runner, client
        runner.run(end())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=CALLS)
def test_random_json_gets_documented_response(loop_and_client, call) -> None:
    runner, client = loop_and_client
    runner.run(check(client, *call))
