"""Files and a real browser: it shows pictures, sends files, and takes no file for a page."""

import asyncio

import pytest

from syncd.control.client import ControlClient
from syncd.control.targets import encode
from tests.daemon.conftest import receiver, site
from tests.dashboard.test_browser import page
from tests.preview.images import KINDS

pytestmark = pytest.mark.e2e

__all__ = ["page", "receiver", "site"]

DROP = """async ([folder, name, size]) => {
    const query = new URLSearchParams({folder, name});
    const answer = await fetch(`/v1/drop?${query}`, {method: 'PUT', body: new Blob([new Uint8Array(size).fill(7)])});
    return [answer.status, await answer.json()];
}"""
SHOW = """async source => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture
async def home(site, page):
    """The daemon, and its page in a browser that has been let in."""
    site.settings["control"] = {"dashboard": "127.0.0.1:0"}
    await site.start()
    client = ControlClient(site.folder / "state" / "control.sock", timeout=10)
    invitation = await asyncio.to_thread(client.dashboard)
    await page.goto(invitation)
    await page.wait_for_url(f"{site.daemon.door.url}/")
    return site


async def test_a_file_of_a_page_goes_up(home, page):
    name = "u\u0308 a&b=%41.jpg"
    status, told = await page.evaluate(DROP, [encode(str(home.inbox)), name, 5_000_000])
    assert (status, told["name"]) == (201, "ü a&b=%41.jpg")
    (job,) = await home.until_shown(told["name"], "done")
    assert await home.content(job) == bytes([7]) * 5_000_000
    status, told = await page.evaluate(DROP, [encode(str(home.inbox)), "../a.jpg", 5])
    assert (status, set(told)) == (400, {"error"})


async def test_pictures_are_shown_on_the_page(home, page):
    (home.inbox / "a.tif").write_bytes(KINDS["tif"])
    (home.inbox / "b.jpg").write_bytes(KINDS["jpg"])
    for name, size in (("a.tif", [200, 100]), ("b.jpg", [200, 100])):
        (job,) = await home.until_shown(name, "done")
        assert await page.evaluate(SHOW, f"/v1/preview?job={job['id']}") == size
    assert await page.evaluate(SHOW, f"/v1/original?job={job['id']}") == [200, 100]


async def test_a_file_is_no_page_of_ours(home, page):
    """An HTML page by the name of an image is taken for an image; a drawing with a script in it is kept, not opened."""
    (home.inbox / "page.jpg").write_bytes(b"<!doctype html><script>document.title = 'mine'</script>")
    (home.inbox / "drawing.svg").write_bytes(
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = "mine"</script></svg>'
    )
    (job,) = await home.until_shown("page.jpg", "done")
    await page.goto(f"{home.daemon.door.url}/v1/original?job={job['id']}")
    assert await page.title() != "mine"
    (job,) = await home.until_shown("drawing.svg", "done")
    await page.goto(home.daemon.door.url)
    async with page.expect_download() as download:
        await page.evaluate(f"location.href = '/v1/original?job={job['id']}'")
    assert (await download.value).suggested_filename == "drawing.svg"
