"""The receiver confirms a stored file only after it has read it.

After a confirmation, a client may delete its own copy.
"""

import base64
import hashlib

import pytest
from aiohttp import ClientSession, FormData, web

from syncd.receiver import file_io
from syncd.receiver.app import make_app
from syncd.receiver.settings import Settings
from tests.support.data import POOL, random_bytes

DATA = random_bytes(3000, 1)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def post(tmp_path):
    """Send JSON or a form; return the status and the JSON body, or None."""
    runner = web.AppRunner(make_app(Settings(folder=str(tmp_path))), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ClientSession() as session:

        async def call(path, json=None, **form):
            data = FormData() if form else None
            for name, value in form.items():
                data.add_field(name, value, filename="a.jpg" if isinstance(value, bytes) else None)
            async with session.post(f"{url}{path}", json=json, data=data) as answer:
                body = await answer.read()
                return answer.status, await answer.json(content_type=None) if body else None

        yield call
    await runner.cleanup()


def damage(tmp_path, kind, digest):
    path = tmp_path / kind / "finished" / digest / "data"
    there = path.read_bytes()
    path.write_bytes(bytes([there[0] ^ 1]) + there[1:])
    return path


def order():
    return {"hash": DIGEST, "file_name": "a.jpg", "file_size": len(DATA), "content_type": "image/jpeg", "pool_id": POOL}


async def direct(post):
    return await post("/api/files/upload/direct", file=DATA, hash=DIGEST, pool_id=POOL)


async def test_create_damaged_file_starts_new_task(post, tmp_path):
    await direct(post)
    assert (await post("/api/files/upload/create", order()))[1]["file_exists"] is True
    path = damage(tmp_path, "files", DIGEST)
    _, agreed = await post("/api/files/upload/create", order())
    assert agreed["file_exists"] is False
    assert not path.exists()
    assert (await post(f"/api/files/upload/chunk/{agreed['task_id']}/0", chunk=DATA))[0] == 200
    assert (await post(f"/api/files/upload/complete/{agreed['task_id']}"))[0] == 200
    assert path.read_bytes() == DATA


async def test_direct_damaged_file_is_replaced(post, tmp_path):
    await direct(post)
    path = damage(tmp_path, "files", DIGEST)
    assert (await direct(post))[0] == 200
    assert path.read_bytes() == DATA


async def test_create_file_replaced_during_check_is_kept(post, tmp_path, monkeypatch):
    """A file system reuses inode numbers: an equal number does not mean the same file."""
    await direct(post)
    path = damage(tmp_path, "files", DIGEST)
    has_digest = file_io.has_digest

    def replaced_after(read, digest):
        right = has_digest(read, digest)
        path.write_bytes(DATA)
        return right

    with monkeypatch.context() as patched:
        patched.setattr(file_io, "has_digest", replaced_after)
        assert (await post("/api/files/upload/create", order()))[0] == 200
    assert path.read_bytes() == DATA


async def test_register_damaged_image_starts_again(post, tmp_path):
    text = base64.urlsafe_b64encode(DATA)
    digest = hashlib.sha256(text).hexdigest()
    image = {"sha256": digest, "size": len(text), "chunk_size": len(text)}
    chunk = {"id": 0, "size": len(text), "data": text.decode()}
    assert [(await post("/image", image))[0], (await post(f"/image/{digest}/chunks", chunk))[0]] == [201, 201]
    assert (await post("/image", image))[0] == 409
    path = damage(tmp_path, "images", digest)
    assert [(await post("/image", image))[0], (await post(f"/image/{digest}/chunks", chunk))[0]] == [201, 201]
    assert path.read_bytes() == text
