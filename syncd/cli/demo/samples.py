"""Draws the demo's sample images: landscapes, patterns, ASCII art, a large BMP."""

import math
import os
import random
import struct
from collections.abc import Iterator

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from syncd.paths import full

LARGEST_BYTES = 60 * 1024 * 1024
"""Exact size of the largest sample."""

Colour = tuple[int, int, int]
_WIDTH, _BAND, _BANDS = 5120, 315, 13
_SHADES = " .:-=+*#%@"

_DAY: tuple[Colour, Colour] = ((70, 130, 200), (225, 238, 250))
_DUSK: tuple[Colour, Colour] = ((45, 30, 90), (250, 150, 80))
_NIGHT: tuple[Colour, Colour] = ((8, 10, 40), (60, 70, 130))
_LANDSCAPES = {
    "IMG_0001.JPG": _DAY,
    "sunset.jpg": _DUSK,
    "a day at the sea.jpg": _DAY,
    "night train.jpeg": _NIGHT,
    "غروب آفتاب.jpg": _DUSK,
    "mountains 🏔️.jpg": _DAY,
    "holidays/day 1.jpg": _DAY,
    "holidays/day 2.jpg": _DUSK,
    "سفر/جنگل.webp": _NIGHT,
    "aurora.webp": _NIGHT,
    "harbour at noon.webp": _DAY,
}
_FLOWERS = {
    "rosette.png": (640, 7),
    "stained glass.png": (800, 12),
    "گل سرخ.png": (512, 5),
    "🌸 blossom.png": (700, 9),
    "patterns/five.webp": (600, 5),
    "patterns/sixteen.png": (900, 16),
    "patterns/🎨 paint.webp": (640, 11),
}
_ASCII = {
    "ascii art/postcard.txt": 60,
    "ascii art/poster.txt": 160,
    "ascii art/stamp.txt": 30,
    "ascii art/نقاشی.txt": 100,
    "ascii art/📟 terminal.txt": 80,
}
NAMES = ("largest.bmp", *_LANDSCAPES, *_FLOWERS, *_ASCII)
"""The paths of all samples, relative to the folder."""


def write_all(folder: str, rng: random.Random) -> Iterator[str]:
    """Write all samples to ``folder``, and yield each path when its file is complete."""
    for name in NAMES:
        path = full(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if name in _LANDSCAPES:
            landscape(rng, _LANDSCAPES[name]).save(path, quality=90)
        elif name in _FLOWERS:
            rosette(rng, *_FLOWERS[name]).save(path)
        elif name in _ASCII:
            with open(path, "x", encoding="ascii") as file:
                file.write(ascii_art(landscape(rng, _DUSK), _ASCII[name]))
        else:
            _write_largest(path)
        yield path


def landscape(rng: random.Random, sky: tuple[Colour, Colour], size: tuple[int, int] = (1280, 800)) -> Image.Image:
    """Draw hills in front of a sky with a sun or a moon."""
    width, height = size
    image = _gradient(size, *sky)
    draw = ImageDraw.Draw(image)
    x, y, r = rng.randint(width // 6, width * 5 // 6), rng.randint(height // 6, height // 2), rng.randint(40, 90)
    glow = Image.new("RGB", size)
    ImageDraw.Draw(glow).ellipse((x - 3 * r, y - 3 * r, x + 3 * r, y + 3 * r), fill=(90, 70, 40))
    image.paste(ImageChops.add(image, glow.filter(ImageFilter.GaussianBlur(r))))
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 244, 214))
    for layer in range(5):
        base, tall = height * (0.5 + 0.1 * layer), height * 0.08 * rng.uniform(0.6, 1.4)
        waves = [(rng.uniform(0.5, 4) * (layer + 1), rng.uniform(0, math.tau)) for _ in range(3)]
        ridge = [(at, base - tall * _wave(at / width, waves)) for at in range(0, width + 8, 8)]
        shade = 1 - 0.17 * layer
        colour = tuple(int(channel * shade * 0.6) for channel in sky[1])
        draw.polygon([(0, height), *ridge, (width, height)], fill=colour)
    return image


def rosette(rng: random.Random, size: int, petals: int) -> Image.Image:
    """Draw rings of petals around the middle."""
    image = Image.new("RGB", (size, size), (18, 16, 28))
    draw = ImageDraw.Draw(image)
    middle, hue = size / 2, rng.random()
    for ring in range(6, 0, -1):
        reach = middle * 0.15 * ring
        for petal in range(petals * (1 + ring // 3)):
            angle = math.tau * petal / (petals * (1 + ring // 3)) + ring * 0.4
            x, y, r = middle + reach * math.cos(angle), middle + reach * math.sin(angle), middle * 0.09 + ring * 2
            colour = _hue(hue + 0.08 * ring + 0.02 * petal)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=(250, 245, 235), width=2)
    return image


def ascii_art(image: Image.Image, width: int) -> str:
    """Return the image as lines of ASCII characters, which are twice as high as wide."""
    grey = image.convert("L").resize((width, max(1, width * image.height // image.width // 2)))
    shades = "".join(_SHADES[value * len(_SHADES) // 256] for value in grey.tobytes())
    return "".join(f"{shades[start : start + width].rstrip()}\n" for start in range(0, len(shades), width))


def _write_largest(path: str) -> None:
    """Write a BMP of coloured noise, padded to :data:`LARGEST_BYTES`."""
    pixels = _WIDTH * _BAND * _BANDS * 3
    head = struct.pack("<2sIHHI", b"BM", LARGEST_BYTES, 0, 0, LARGEST_BYTES - pixels)
    head += struct.pack("<IiiHHIIiiII", 40, _WIDTH, _BAND * _BANDS, 1, 24, 0, pixels, 2835, 2835, 0, 0)
    with open(path, "xb") as file:
        file.write(head.ljust(LARGEST_BYTES - pixels, b"\0"))
        for band in range(_BANDS):
            grain = Image.effect_noise((_WIDTH, _BAND), 50)
            channels = [ImageChops.offset(grain, 700 * shift, 0) for shift in range(3)]
            tint = Image.new("RGB", (_WIDTH, _BAND), _hue(band / _BANDS))
            file.write(Image.blend(Image.merge("RGB", channels), tint, 0.4).tobytes("raw", "BGR"))


def _gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    mask = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask)


def _wave(at: float, waves: list[tuple[float, float]]) -> float:
    return sum(
        math.sin(math.tau * at * frequency + phase) / (1 + index) for index, (frequency, phase) in enumerate(waves)
    )


def _hue(turn: float) -> Colour:
    red, green, blue = (int(140 + 110 * math.cos(math.tau * (turn + third / 3))) for third in range(3))
    return red, green, blue
