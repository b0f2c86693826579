"""A server that receives notifications and pings, and status documents."""

from contextlib import asynccontextmanager

from aiohttp import web

from syncd.config.notify import Notify

URL_SECRETS = ("passw0rd", "t0ken-in-the-path-4711", "t0ken-in-the-query-815")
"""The secrets in the URL of :func:`json_url`."""


class NotificationServer:
    """Records each request; answers ``status``, or nothing while ``hanging``."""

    def __init__(self):
        self.requests = []
        self.paths = []
        self.status = 200
        self.hanging = None
        self.url = ""

    @property
    def titles(self):
        return [request["title"] for request in self.requests]

    async def answer(self, request):
        self.paths.append(request.path_qs)
        if self.hanging is not None:
            await self.hanging.wait()
        if request.method == "POST":
            self.requests.append(await request.json())
        return web.Response(status=self.status)


@asynccontextmanager
async def notification_server():
    server = NotificationServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        if server.hanging is not None:
            server.hanging.set()
        await runner.cleanup()


def json_url(server_url):
    """Return the Apprise URL of a server; it contains :data:`URL_SECRETS`."""
    password, path, query = URL_SECRETS
    host = server_url.removeprefix("http://")
    return f"json://user:{password}@{host}/{path}?-key={query}"


def settings(**values):
    return Notify.model_validate(values)


def status(**changes):
    """Return a status document without problems, with changes applied."""
    return {
        "version": "1",
        "state": "running",
        "store_blocked": None,
        "pid": 1,
        "uptime_seconds": 1.0,
        "folders": [],
        "remotes": [],
        "jobs": {},
        "bytes": {"pending": 0, "sent": 0, "per_second": 0.0},
        "eta_seconds": None,
        "dashboard": None,
        **changes,
    }


def remote(name="drive", state="offline", **changes):
    return {"name": name, "type": "image", "url": "http://h", "state": state, "detail": None, **changes}


def folder(path="/in", state="offline", detail=None):
    return {"path": path, "uri": "", "remotes": [], "state": state, "watch": "native", "files": 0, "detail": detail}
