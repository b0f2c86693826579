"""Serves the files of the page from memory.

The server reads them at its start, so that no request can reach any other file.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import ETag, web

STATIC = "/static/{name}"
"""The route as aiohttp names it; ``name`` can contain slashes."""
LOGIN = "/login"
INDEX, LOCKED, WELCOME = "index.html", "locked.html", "login.html"

_CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A file of the page; ``tag`` is an ETag that changes with the bytes."""

    body: bytes
    content_type: str
    tag: str

    def to_response(self, *, status: int = 200) -> web.Response:
        """Return the page as a response that browsers do not cache."""
        return web.Response(status=status, body=self.body, headers={"Content-Type": self.content_type})


def load_pages() -> dict[str, Page]:
    """Return the files in ``static/`` by their paths relative to it."""
    return dict(_read_folder(resources.files(__package__) / "static", ""))


def _read_folder(folder: Traversable, prefix: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _read_folder(entry, f"{name}/")
        elif content_type := _CONTENT_TYPES.get(name.rpartition(".")[2]):
            body = entry.read_bytes()
            yield name, Page(body=body, content_type=content_type, tag=hashlib.sha256(body).hexdigest()[:32])


def routes(pages: Mapping[str, Page]) -> list[web.RouteDef]:
    """Return the routes to ``pages``, except the login."""

    async def index(request: web.Request) -> web.Response:
        return _answer(request, pages[INDEX])

    async def static(request: web.Request) -> web.Response:
        page = pages.get(request.match_info["name"])
        if page is None:
            raise web.HTTPNotFound
        return _answer(request, page)

    return [web.get("/", index), web.get("/static/{name:.+}", static)]


def _answer(request: web.Request, page: Page) -> web.Response:
    """Return the page, or 304 if the browser has it."""
    headers = {"ETag": f'"{page.tag}"', "Cache-Control": "no-cache", "Content-Type": page.content_type}
    if ETag(value=page.tag) in (request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=page.body, headers=headers)
