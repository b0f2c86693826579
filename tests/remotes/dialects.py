"""Simulated servers of the image API, with the deviations of known servers.

They were written from descriptions of the servers' behaviour, not from their code. Each class names its deviations as
attributes. If it is only known that *some* server deviates in a way, one of the classes has that deviation.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

LARGEST_FRAME = 100
"""Maximum bytes of a chunk's JSON without its data."""


@dataclass
class Image:
    """A registered image. ``accepted`` counts the accepted chunks, including repeated ones."""

    size: int
    chunk_size: int
    parts: dict[int, str] = field(default_factory=dict)
    accepted: int = 0

    @property
    def text(self) -> str:
        return "".join(self.parts[index] for index in sorted(self.parts))

    @property
    def count(self) -> int:
        return -(-self.size // self.chunk_size)


class Documented:
    """The documented API: a repeated chunk gets 409, an incomplete image can't be downloaded."""

    known_status = 409
    """The response to a registration of a known hash."""
    malformed_status = 400
    unknown_status = 404
    """The response to a chunk of an unknown image."""
    incomplete: ClassVar[str] = "404"
    """The response to a download of an incomplete image: a status, or ``nothing``, ``part`` or ``NULs`` with 200."""
    sniffs = False
    """Whether text that looks like HTML is sent as text/html, as by servers in Go."""
    counts_repeats = False
    """Whether a repeated chunk is accepted, and counts towards completeness."""
    fixed_chunks = False
    """Whether an image accepts only chunks of the size with which it was registered."""
    largest_body: int | None = None
    """Bytes; a longer body is truncated before the JSON parser reads it."""
    largest_download: int | None = None
    cut_over: int | None = None
    """Characters of a chunk; the server cuts off a longer request, as if the connection were too slow."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.calls: Counter[str] = Counter()
        self.app = web.Application(client_max_size=64 * 1024 * 1024)
        self.app.router.add_post("/image", self._register)
        self.app.router.add_post("/image/{sha256}/chunks", self._chunk)
        self.app.router.add_get("/image/{sha256}", self._download)

    def error(self, status: int, words: str) -> web.Response:
        """Return an error in this server's format."""
        return web.json_response({"code": str(status), "message": words}, status=status)

    def known(self) -> web.Response:
        """Reject the registration of a registered image."""
        return self.error(self.known_status, "image already exists")

    def unknown(self) -> web.Response:
        """Reject a chunk of an unknown image."""
        return self.error(self.unknown_status, "image not found")

    async def _json(self, request: web.Request) -> dict[str, Any] | None:
        body = await request.read()
        if self.largest_body is not None:
            body = body[: self.largest_body]
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    async def _register(self, request: web.Request) -> web.Response:
        self.calls["register"] += 1
        order = await self._json(request)
        if order is None or len(order.get("sha256", "")) != 64 or order.get("size", 0) <= 0:
            return self.error(self.malformed_status, "size must be positive")
        if order["sha256"] in self.images:
            return self.known()
        self.images[order["sha256"]] = Image(order["size"], order["chunk_size"])
        return web.Response(status=201)

    async def _chunk(self, request: web.Request) -> web.Response:
        self.calls["chunk"] += 1
        await self._enforce_time_limit(request)
        order = await self._json(request)
        if order is None:
            return self.error(400, "unexpected end of JSON input")
        image = self.images.get(request.match_info["sha256"])
        if image is None:
            return self.unknown()
        index, data = order["id"], order["data"]
        expected = min(image.chunk_size, image.size - index * image.chunk_size)
        if len(data) != order["size"] or (self.fixed_chunks and len(data) != expected):
            return self.error(400, "wrong chunk size")
        if index in image.parts and not self.counts_repeats:
            return self.error(409, "chunk already exists")
        image.parts.setdefault(index, data)
        image.accepted += 1
        return web.Response(status=201)

    async def _enforce_time_limit(self, request: web.Request) -> None:
        """Cut off a request that takes too long."""
        if self.cut_over is not None and (request.content_length or 0) > self.cut_over + LARGEST_FRAME:
            self.calls["cut off"] += 1
            await request.content.readany()
            assert request.transport
            request.transport.abort()

    async def _download(self, request: web.Request) -> web.Response:
        self.calls["download"] += 1
        image = self.images.get(request.match_info["sha256"])
        if image is None:
            return self.error(404, "image not found")
        complete = image.accepted >= image.count if self.counts_repeats else len(image.text) >= image.size
        if not complete:
            return self._part(image)
        if self.largest_download is not None and image.size > self.largest_download:
            return self.error(500, "too large a message")
        return self._text(image.text)

    def _part(self, image: Image) -> web.Response:
        if self.incomplete.isdigit():
            return self.error(int(self.incomplete), "image is not complete")
        if self.incomplete == "NULs":
            gap = "\0" * image.chunk_size
            return self._text("".join(image.parts.get(index, gap) for index in range(image.count))[: image.size])
        return self._text(image.text if self.incomplete == "part" else "")

    def _text(self, text: str) -> web.Response:
        page = self.sniffs and text.lower().startswith(("<html", "<!--", "<b>", "<p>", "<svg"))
        return web.Response(text=text, content_type="text/html" if page else "text/plain")

    def store_image(self, text: str, *, under: str, chunk_size: int) -> None:
        """Store ``text`` as the complete image of the hash ``under``."""
        image = Image(len(text), chunk_size)
        image.parts = {index: text[index * chunk_size :][:chunk_size] for index in range(image.count)}
        image.accepted = image.count
        self.images[under] = image

    def lose_chunks(self, sha256: str) -> None:
        """Delete an image's chunks, but keep its registration."""
        image = self.images[sha256]
        self.images[sha256] = Image(image.size, image.chunk_size)


class UploadsvcGo(Documented):
    """uploadsvc-go: 422 for a malformed registration; errors as ``{"Code", "Message"}``."""

    sniffs = True
    malformed_status = 422

    def error(self, status: int, words: str) -> web.Response:
        return web.json_response({"Code": status, "Message": words}, status=status)


class Omp(Documented):
    """omp: accepts no body over 10,000 bytes; 500 to a download of an incomplete image."""

    sniffs = True
    incomplete = "500"
    largest_body = 10_000
    fixed_chunks = True


class Ableton(Documented):
    """ableton: empty 400 to a chunk of an unknown image; counts a repeated chunk twice."""

    sniffs = True
    unknown_status = 400
    incomplete = "part"
    counts_repeats = True

    def unknown(self) -> web.Response:
        return web.Response(status=self.unknown_status)


class Habibeh92(Documented):
    """habibeh92's chunk-uploader: returns at most 4 MiB; errors as a bare JSON string."""

    sniffs = True
    incomplete = "NULs"
    fixed_chunks = True
    largest_download = 4 * 1024 * 1024

    def error(self, status: int, words: str) -> web.Response:
        return web.json_response(words, status=status)


class Fatemezak(Documented):
    """fatemezak's NestJS server: empty 200 to a download of an incomplete image."""

    incomplete = "nothing"
    fixed_chunks = True


class OmpFinex(Documented):
    """OMPFinex: 400 to a registered image, and to a chunk of an unknown one.

    Errors have the form ``{"error": {field: rule}}``.
    """

    sniffs = True
    known_status = 400
    unknown_status = 400
    incomplete = "400"
    counts_repeats = True

    def error(self, status: int, words: str) -> web.Response:
        return web.json_response({"error": {"Size": words}}, status=status)

    def known(self) -> web.Response:
        return web.json_response({"error": {"Sha256": "exist_in_db=images"}}, status=self.known_status)

    def unknown(self) -> web.Response:
        return web.Response(status=self.unknown_status)


DIALECTS: dict[str, type[Documented]] = {
    "documented": Documented,
    "uploadsvc-go": UploadsvcGo,
    "omp": Omp,
    "ableton": Ableton,
    "habibeh92": Habibeh92,
    "fatemezak": Fatemezak,
    "OMPFinex": OmpFinex,
}
