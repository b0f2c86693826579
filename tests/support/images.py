"""Image data: small images in every supported format, and harmful or invalid files."""

import io
import struct
import zlib

from PIL import Image

RED, BLUE = (200, 20, 20), (20, 20, 200)
FORMATS = {
    "jpg": {"format": "JPEG", "quality": 95},
    "png": {"format": "PNG"},
    "gif": {"format": "GIF"},
    "webp": {"format": "WEBP", "quality": 95},
    "avif": {"format": "AVIF", "quality": 95},
    "tif": {"format": "TIFF"},
    "bmp": {"format": "BMP"},
    "jp2": {"format": "JPEG2000"},
    "ico": {"format": "ICO", "sizes": [(200, 100)]},
}


def halves(size=(200, 100), mode="RGB"):
    """Return an image that is red on the left and blue on the right."""
    made = Image.new("RGB", size, BLUE)
    made.paste(RED, (0, 0, size[0] // 2, size[1]))
    return made if mode == "RGB" else made.convert(mode)


def saved(picture, **how):
    out = io.BytesIO()
    picture.save(out, **how)
    return out.getvalue()


def psd(size=(200, 100)):
    """Return a flat Photoshop file. Pillow can read but not write them."""
    width, height = size
    planes = b"".join(halves(size).getchannel(channel).tobytes() for channel in "RGB")
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3) + struct.pack(">IIIH", 0, 0, 0, 0) + planes


def png(width, height, *, depth=8, kind=0, rows=b""):
    """Return a PNG with these header fields and any pixel data."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb():
    """Return a decompression bomb: 30,000 by 30,000 pixels in a few kilobytes."""
    return png(30_000, 30_000, rows=bytes(4 * 1024 * 1024))


KINDS = {name: saved(halves(), **how) for name, how in FORMATS.items()} | {"psd": psd()}
KINDS |= {"jpeg": KINDS["jpg"], "jpe": KINDS["jpg"], "jfif": KINDS["jpg"], "tiff": KINDS["tif"]}
KINDS["apng"] = saved(halves(), format="PNG", save_all=True, append_images=[Image.new("RGB", (200, 100), "green")])

HARMFUL = {
    "a decompression bomb": bomb(),
    "cut off": KINDS["png"][: len(KINDS["png"]) // 2],
    "cut off jpeg": KINDS["jpg"][: len(KINDS["jpg"]) // 2],
    "empty": b"",
    "a text": b"no image at all",
    "one pixel too many": png(12_800, 10_001),
    "a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    "a bomb in an icon": struct.pack("<HHHBBBBHHII", 0, 1, 1, 9, 9, 0, 0, 1, 32, len(bomb()), 22) + bomb(),
}
