"""The dashboard rejects requests of other origins and for other host names, in a browser."""

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.browser.conftest import CHROMIUM, FLAGS

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def other_origin():
    """The URL of a page of another origin on this machine.

    It is the same site for cookies, so that only the ``Origin`` header shows the difference.
    """

    async def page(_request):
        return web.Response(text="<h1>other origin</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


SEND_REQUESTS = """async home => {
  const results = {};
  for (const mode of ["cors", "no-cors"]) {
    const post = fetch(home + "v1/stop", { method: "POST", mode, credentials: "include", body: "{}" });
    results[mode] = await post.then(response => response.status, () => "blocked");
  }
  const read = fetch(home + "v1/status", { credentials: "include" });
  results.read = await read.then(response => response.status, () => "blocked");
  results.script = await new Promise(resolve => {
    const script = document.createElement("script");
    script.src = home + "static/app.js";
    script.type = "module";
    script.onload = () => resolve("loaded");
    script.onerror = () => resolve("blocked");
    document.head.append(script);
  });
  return results;
}"""


async def test_request_from_other_origin_is_rejected(daemon, open_page, other_origin):
    daemon.start()
    page = await open_page()
    await expect(page.get_by_role("button", name="Pause uploads")).to_be_enabled()
    home = page.url.split("#")[0]
    other_page = await page.context.new_page()  # with the same cookies
    await other_page.goto(other_origin)
    results = await other_page.evaluate(SEND_REQUESTS, home)
    assert results == {"cors": "blocked", "no-cors": "blocked", "read": "blocked", "script": "blocked"}
    assert daemon.client.status()["state"] == "running"
    await other_page.evaluate(
        "form => { document.body.innerHTML = form; document.forms[0].submit() }",
        f"<form method=post action={home}v1/stop></form>",
    )
    await other_page.wait_for_url(f"{home}v1/stop")
    assert daemon.client.status()["state"] == "running"
    await page.get_by_role("button", name="Pause uploads").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploads paused")


async def test_request_for_other_host_name_is_rejected(daemon, login_url, chromium):
    daemon.start()
    url = login_url()
    port = url.split(":")[2].split("/")[0]
    browser = await chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--host-resolver-rules=MAP evil.test 127.0.0.1"]
    )
    try:
        page = await browser.new_page()
        for path in ("/", "/v1/status", "/static/app.js", "/login?ticket=" + url.partition("=")[2]):
            response = await page.goto(f"http://evil.test:{port}{path}")
            assert response.status in {403, 421}, path
        assert (await page.goto(url)).status == 200
    finally:
        await browser.close()


async def test_page_without_cookie_asks_for_login(daemon, login_url, chromium):
    daemon.start()
    url = login_url()
    context = await chromium.new_context()
    page = await context.new_page()
    home = url.partition("login")[0]
    assert (await page.goto(home)).status == 401
    await expect(page.get_by_role("heading", name="Log in to open the dashboard")).to_be_visible()
    await expect(page.get_by_text("syncd ctl open", exact=True)).to_be_visible()
    await page.goto(url)
    await expect(page.get_by_role("button", name="Pause uploads")).to_be_visible()
    await context.clear_cookies()
    assert (await page.goto(url)).status != 200  # a ticket is valid once
    await context.close()
