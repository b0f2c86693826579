"""The files of the page, from memory: what was read at the start is all there is, so no path leads anywhere else."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import ETag, web

STATIC = "/static/{name}"
"""As aiohttp calls the route, whose ``name`` has slashes."""
LOGIN = "/login"
INDEX, LOCKED, WELCOME = "index.html", "locked.html", "login.html"

_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A file as it goes out: its bytes, its ``Content-Type``, and a tag that is another one for other bytes."""

    body: bytes
    kind: str
    tag: str

    def answer(self, *, status: int = 200) -> web.Response:
        """Return the page as an answer that is not to be kept."""
        return web.Response(status=status, body=self.body, headers={"Content-Type": self.kind})


def load_pages() -> dict[str, Page]:
    """Return the files in ``static/`` by their names, those in folders below as ``folder/name``."""
    return dict(_below(resources.files(__package__) / "static", ""))


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _below(entry, f"{name}/")
        elif kind := _KINDS.get(name.rpartition(".")[2]):
            body = entry.read_bytes()
            yield name, Page(body=body, kind=kind, tag=hashlib.sha256(body).hexdigest()[:32])


def routes(pages: Mapping[str, Page]) -> list[web.RouteDef]:
    """Return the routes to ``pages``; the way in is not among them."""

    async def index(request: web.Request) -> web.Response:
        return _answer(request, pages[INDEX])

    async def static(request: web.Request) -> web.Response:
        page = pages.get(request.match_info["name"])
        if page is None:
            raise web.HTTPNotFound
        return _answer(request, page)

    return [web.get("/", index), web.get("/static/{name:.+}", static)]


def _answer(request: web.Request, page: Page) -> web.Response:
    """Return the page, or that the browser has it already."""
    headers = {"ETag": f'"{page.tag}"', "Cache-Control": "no-cache", "Content-Type": page.kind}
    if ETag(value=page.tag) in (request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=page.body, headers=headers)
