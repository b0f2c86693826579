"""A server of the image API, written from its specification, with habits of real servers."""

import base64
import contextlib
import hashlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.server import Answer, Request, Server, json_answer

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(kw_only=True, slots=True)
class Image:
    """An image registered under a hash. ``spoiled``: another client made it unusable."""

    size: int
    chunk_size: int
    chunks: dict[int, str] = field(default_factory=dict)
    foreign: bool = False
    spoiled: bool = False

    @property
    def complete(self) -> bool:
        return len(self.chunks) >= -(-self.size // self.chunk_size)

    @property
    def text(self) -> str:
        return "".join(self.chunks[number] for number in sorted(self.chunks))

    @property
    def filled(self) -> str:
        """The stored bytes, with zeros in place of missing chunks."""
        count = -(-self.size // self.chunk_size)
        parts = (self.chunks.get(number, "\0" * self.chunk_size) for number in range(count))
        return "".join(parts)[: self.size]


def text_of(data: bytes) -> str:
    """Return the text as which a file is uploaded."""
    return data.decode("ascii") if data.isascii() else base64.urlsafe_b64encode(data).decode("ascii")


def data_of(text: str) -> list[bytes]:
    """Return the possible contents of a text: the text, and the bytes that it encodes."""
    meanings = [text.encode()]
    with contextlib.suppress(ValueError):
        meanings.append(base64.urlsafe_b64decode(text))
    return meanings


def key_of(text: str) -> str:
    """Return the hash under which a text is registered."""
    return hashlib.sha256(text.encode()).hexdigest()


class ImageServer(Server):
    """Keeps images in memory."""

    name = "ascii"

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(world, rng)
        self.images: dict[str, Image] = {}
        self._lost: dict[bytes, str] = {}
        self.created = rng.choice([200, 201])
        self.shows_parts = rng.random() < 0.5
        self.refuses_late_chunks = rng.random() < 0.3
        self.strict = rng.random() < 0.5
        self.largest_chunk = rng.choice([10**9] * 6 + [3000])
        self.number_codes = rng.random() < 0.5
        self.fills_gaps = rng.random() < 0.3

    def act(self, request: Request) -> Answer:
        """Handle one of the three calls."""
        _, _, *rest = request.path.partition("?")[0].split("/")
        match request.method, rest:
            case "POST", []:
                return self._register(request)
            case "POST", [key, "chunks"]:
                return self._chunk(key, request)
            case "GET" | "HEAD", [key]:
                return self._download(key)
        return self._no(404, "no such call")

    def _no(self, status: int, message: str) -> Answer:
        return json_answer(status, {"code": status if self.number_codes else str(status), "message": message})

    def _register(self, request: Request) -> Answer:
        order = request.json()
        if request.headers.get("content-type") != "application/json":
            return self._no(415, "Unsupported payload format")
        if order["sha256"] in self.images:
            return self._no(409, "Image already exists")
        self.images[order["sha256"]] = Image(size=order["size"], chunk_size=order["chunk_size"])
        return json_answer(self.created)

    def _chunk(self, key: str, request: Request) -> Answer:
        chunk = request.json()
        number, text = chunk["id"], chunk["data"]
        if len(request.body) > self.largest_chunk:
            if key in self.images:
                self.images[key].spoiled = True
            self.world.tally["ascii: 413"] += 1
            return self._no(413, "Request body too large")
        image = self.images.get(key)
        if image is None:
            return self._no(404, "Image not found")
        if image.complete and self.refuses_late_chunks:
            return self._no(400, "Image is complete")
        if number in image.chunks:
            self.world.request_monitor.chunk(self.name, key, key, number, len(text), new=False)
            return self._no(409, "Chunk already exists")
        expected = min(image.chunk_size, image.size - number * image.chunk_size)
        if len(text) != expected and (self.world.tally["ascii: 413"] or self.world.tally["ascii: 400"]):
            image.spoiled = True  # its chunks have a size that the client no longer sends
        if chunk["size"] != len(text) or (self.strict and len(text) != expected):
            return self._no(400, "Chunk size is wrong")
        self.world.request_monitor.chunk(self.name, key, key, number, len(text), new=True)
        image.chunks[number] = text
        if image.complete:
            self._confirms(image)
        if image.complete and not image.foreign and not image.spoiled:
            self.world.request_monitor.stored_text(key, image)
        return json_answer(self.created)

    def _download(self, key: str) -> Answer:
        image = self.images.get(key)
        if image is None or not (image.complete or self.shows_parts):
            self.denied |= {content for content, known in self._lost.items() if known == key}
            return self._no(404, "Image not found")
        text = image.filled if self.fills_gaps and not image.complete else image.text
        if key_of(text) == key:
            self._confirms(image, gives=True)
        return Answer(status=200, body=text.encode(), kind="text/plain")

    def _confirms(self, image: Image, *, gives: bool = False) -> None:
        for data in data_of(image.text):
            self.confirms(data, gives=gives)

    def forget_unfinished(self) -> int:
        """Forget the incomplete images."""
        before = len(self.images)
        self.images = {key: image for key, image in self.images.items() if image.complete}
        return before - len(self.images)

    def lose(self, rng: random.Random) -> int:
        """Lose an image; return the number of lost images."""
        complete = [key for key, image in self.images.items() if image.complete]
        if not complete:
            return 0
        key = rng.choice(complete)
        for data in data_of(self.images.pop(key).text):
            self.lost(data)
            self._lost[self.digest(data)] = key
        return 1

    def lied_about(self, data: bytes) -> bool:
        """Return whether the server made a false statement about a content."""
        return key_of(text_of(data)) in self.lies

    def content_of(self, request: Request) -> str:
        """Return the hash of the content that a request concerns, or an empty string."""
        _, _, *rest = request.path.partition("?")[0].split("/")
        return rest[0] if rest else str(request.json()["sha256"])

    def interfere(self, data: bytes, rng: random.Random) -> str:
        """Register a content as another client, in one of many ways; return the way."""
        text = text_of(data)
        key = key_of(text)
        if key in self.images or not text:
            return "came too late"
        how = rng.choice(["no chunk", "some chunks", "all chunks", "another chunk size", "other content"])
        ours = self.world.image_chunk_size
        size = rng.choice([100, 1000, 7777]) if how == "another chunk size" else ours
        image = self.images[key] = Image(size=len(text), chunk_size=size, foreign=True)
        image.spoiled = how == "other content" or size != ours
        count = -(-len(text) // size)
        several = rng.sample(range(count), rng.randint(0, count))
        numbers = {"no chunk": [], "all chunks": range(count), "other content": range(count)}.get(how, several)
        for number in numbers:
            chunk = text[number * size : (number + 1) * size]
            image.chunks[number] = chunk[::-1] + "!" if how == "other content" else chunk
        return how

    def has(self, data: bytes) -> bool:
        """Return whether exactly this file can be downloaded."""
        text = text_of(data)
        image = self.images.get(key_of(text))
        return image is not None and (image.complete or self.shows_parts) and image.text == text

    def excused(self, data: bytes) -> bool:
        """Return whether the client is not to blame for an incomplete file."""
        text = text_of(data)
        image = self.images.get(key_of(text))
        too_large = len(text) > 0.8 * self.largest_chunk and self.world.image_chunk_size > 0.8 * self.largest_chunk
        gaps = image is not None and self.fills_gaps and not image.complete  # taken for another content
        return too_large or gaps or (image is not None and image.spoiled)
