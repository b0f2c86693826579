"""Pages of other sites, and names that are not this machine's, get nothing from the dashboard: in a real browser."""

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.browser.conftest import CHROMIUM, FLAGS

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def elsewhere():
    """Another site on this machine: for cookies the same site, so that only the checks of Origin stand in its way."""

    async def page(_request):
        return web.Response(text="<h1>elsewhere</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


TRIES = """async home => {
  const told = {};
  for (const mode of ["cors", "no-cors"]) {
    const post = fetch(home + "v1/stop", { method: "POST", mode, credentials: "include", body: "{}" });
    told[mode] = await post.then(answer => answer.status, () => "refused");
  }
  const read = fetch(home + "v1/status", { credentials: "include" });
  told.read = await read.then(answer => answer.status, () => "refused");
  told.script = await new Promise(resolve => {
    const script = document.createElement("script");
    script.src = home + "static/app.js";
    script.type = "module";
    script.onload = () => resolve("loaded");
    script.onerror = () => resolve("refused");
    document.head.append(script);
  });
  return told;
}"""


async def test_request_from_other_origin_is_rejected(daemon, open_page, elsewhere):
    daemon.start()
    page = await open_page()
    await expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    home = page.url.split("#")[0]
    stranger = await page.context.new_page()  # it has the cookie
    await stranger.goto(elsewhere)
    told = await stranger.evaluate(TRIES, home)
    assert told == {"cors": "refused", "no-cors": "refused", "read": "refused", "script": "refused"}
    assert daemon.ctl.status()["state"] == "running"
    await stranger.evaluate(
        "form => { document.body.innerHTML = form; document.forms[0].submit() }",
        f"<form method=post action={home}v1/stop></form>",
    )
    await stranger.wait_for_url(f"{home}v1/stop")
    assert daemon.ctl.status()["state"] == "running"
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Stopped")


async def test_request_for_other_host_name_is_rejected(daemon, login_url, chromium):
    daemon.start()
    address = login_url()
    port = address.split(":")[2].split("/")[0]
    browser = await chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--host-resolver-rules=MAP evil.test 127.0.0.1"]
    )
    try:
        page = await browser.new_page()
        for path in ("/", "/v1/status", "/static/app.js", "/login?ticket=" + address.partition("=")[2]):
            answer = await page.goto(f"http://evil.test:{port}{path}")
            assert answer.status in {403, 421}, path
        assert (await page.goto(address)).status == 200
    finally:
        await browser.close()


async def test_page_without_cookie_asks_for_login(daemon, login_url, chromium):
    daemon.start()
    address = login_url()
    context = await chromium.new_context()
    page = await context.new_page()
    home = address.partition("login")[0]
    assert (await page.goto(home)).status == 401
    await expect(page.get_by_role("heading", name="This page is locked")).to_be_visible()
    await expect(page.get_by_text("syncd ctl open", exact=True)).to_be_visible()
    await page.goto(address)
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await context.clear_cookies()
    assert (await page.goto(address)).status != 200  # the ticket was for once
    await context.close()
