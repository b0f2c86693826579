"""Tests the preview cache, its size limit and damaged files, and the queue of requests."""

import asyncio
import os

import pytest

from syncd.preview import previews as module
from syncd.preview.cache import Cache
from syncd.preview.previews import LARGE_EDGE_PIXELS, SMALL_EDGE_PIXELS, PreviewQueueFullError, Previews
from syncd.preview.protocol import NoPreviewError


class Counting:
    """A renderer that records its calls, waits for ``go`` and fails with ``fails``."""

    def __init__(self):
        self.made = []
        self.fails = None
        self.go = asyncio.Event()
        self.go.set()

    async def render(self, descriptor, edge):
        self.made.append(descriptor)
        await self.go.wait()
        if self.fails:
            raise NoPreviewError(self.fails)
        return b"picture %d" % descriptor

    async def close(self):
        pass


def test_cache_get_returns_stored_preview(tmp_path):
    cache = Cache(str(tmp_path / "previews"))
    assert cache.get("a") is None
    cache.put("a", b"picture")
    assert cache.get("a") == b"picture"
    assert Cache(str(tmp_path / "previews")).get("a") == b"picture"


@pytest.mark.unix
def test_cache_directory_is_private(tmp_path):
    Cache(str(tmp_path / "previews")).put("a", b"picture")
    assert (tmp_path / "previews").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"!"])
def test_cache_get_damaged_file_returns_none(tmp_path, harm):
    cache = Cache(str(tmp_path))
    cache.put("a", b"picture")
    (file,) = tmp_path.iterdir()
    file.write_bytes(harm(file.read_bytes()))
    assert cache.get("a") is None
    cache.put("a", b"picture")
    assert cache.get("a") == b"picture"


@pytest.mark.parametrize("anew", [True, False])
def test_cache_over_limit_removes_oldest(tmp_path, anew):
    cache = Cache(str(tmp_path), limit=10_000)
    for number in range(25):
        cache.put(str(number), bytes(1000))
        os.utime(tmp_path / f"{number}.webp", ns=(number, number))
        if anew:
            cache = Cache(str(tmp_path), limit=10_000)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 12_000
    assert cache.get("0") is None
    assert cache.get("23")


def test_cache_put_ignores_write_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = Cache(str(tmp_path / "file" / "previews"))
    cache.put("a", b"picture")
    assert cache.get("a") is None


async def test_previews_small_is_rendered_once(tmp_path):
    made = Counting()
    previews = Previews(Cache(str(tmp_path)), made)
    assert await asyncio.gather(*(previews.get(7, "a", SMALL_EDGE_PIXELS) for _ in range(20))) == [b"picture 7"] * 20
    assert made.made == [7]
    assert await Previews(Cache(str(tmp_path)), made).get(8, "a", SMALL_EDGE_PIXELS) == b"picture 7"


async def test_previews_large_is_not_cached(tmp_path):
    previews = Previews(Cache(str(tmp_path)), Counting())
    assert await previews.get(7, "a", LARGE_EDGE_PIXELS) == b"picture 7"
    assert list(tmp_path.iterdir()) == []


async def test_previews_failed_file_is_rendered_once(tmp_path):
    made = Counting()
    made.fails = "broken"
    previews = Previews(Cache(str(tmp_path)), made)
    for _ in range(3):
        with pytest.raises(NoPreviewError, match="broken"):
            await previews.get(7, "a", SMALL_EDGE_PIXELS)
    assert made.made == [7]


async def test_previews_full_queue_raises_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    made = Counting()
    made.go.clear()
    previews = Previews(Cache(str(tmp_path)), made)
    asked = [asyncio.create_task(previews.get(number, f"{number}", LARGE_EDGE_PIXELS)) for number in range(4)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = done
    assert isinstance(refused.exception(), PreviewQueueFullError)
    made.go.set()
    assert sorted(await asyncio.gather(*(task for task in asked if task is not refused)))
    assert await previews.get(9, "9", LARGE_EDGE_PIXELS) == b"picture 9"
