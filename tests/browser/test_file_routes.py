"""The file routes in a real browser: show images and add files.

A file is never rendered as a page of the dashboard.
"""

import asyncio

import pytest

from syncd.control.client import ControlClient
from syncd.control.job_targets import encode_target
from tests.daemon.conftest import harness, receiver
from tests.support.images import KINDS

pytestmark = pytest.mark.e2e

__all__ = ["harness", "receiver"]

DROP = """async ([folder, name, size]) => {
    const query = new URLSearchParams({folder, name});
    const body = new Blob([new Uint8Array(size).fill(7)]);
    const response = await fetch(`/v1/drop?${query}`, {method: 'PUT', body});
    return [response.status, await response.json()];
}"""
DECODED_SIZE = """async source => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture
async def logged_in(harness, page):
    """A running daemon whose dashboard ``page`` is logged in to."""
    harness.settings["control"] = {"dashboard": "127.0.0.1:0"}
    await harness.start()
    client = ControlClient(harness.folder / "state" / "control.sock", timeout=10)
    await page.goto(await asyncio.to_thread(client.dashboard))
    await page.wait_for_url(f"{harness.daemon.dashboard.url}/")
    return harness


async def test_drop_request_uploads_file(logged_in, page):
    name = "u\u0308 a&b=%41.jpg"
    status, reply = await page.evaluate(DROP, [encode_target(str(logged_in.inbox)), name, 5_000_000])
    assert (status, reply["name"]) == (201, "ü a&b=%41.jpg")
    (job,) = await logged_in.wait_for_states(reply["name"], "done")
    assert await logged_in.content(job) == bytes([7]) * 5_000_000
    status, reply = await page.evaluate(DROP, [encode_target(str(logged_in.inbox)), "../a.jpg", 5])
    assert (status, set(reply)) == (400, {"error"})


async def test_preview_and_original_images_decode(logged_in, page):
    (logged_in.inbox / "a.tif").write_bytes(KINDS["tif"])
    (logged_in.inbox / "b.jpg").write_bytes(KINDS["jpg"])
    for name, size in (("a.tif", [200, 100]), ("b.jpg", [200, 100])):
        (job,) = await logged_in.wait_for_states(name, "done")
        assert await page.evaluate(DECODED_SIZE, f"/v1/preview?job={job['id']}") == size
    assert await page.evaluate(DECODED_SIZE, f"/v1/original?job={job['id']}") == [200, 100]


async def test_original_html_and_svg_are_not_rendered(logged_in, page):
    """HTML in a .jpg file is served as an image; SVG is downloaded, as it can run scripts."""
    (logged_in.inbox / "page.jpg").write_bytes(b"<!doctype html><script>document.title = 'mine'</script>")
    (logged_in.inbox / "drawing.svg").write_bytes(
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = "mine"</script></svg>'
    )
    (job,) = await logged_in.wait_for_states("page.jpg", "done")
    await page.goto(f"{logged_in.daemon.dashboard.url}/v1/original?job={job['id']}")
    assert await page.title() != "mine"
    (job,) = await logged_in.wait_for_states("drawing.svg", "done")
    await page.goto(logged_in.daemon.dashboard.url)
    async with page.expect_download() as download:
        await page.evaluate(f"location.href = '/v1/original?job={job['id']}'")
    assert (await download.value).suggested_filename == "drawing.svg"
