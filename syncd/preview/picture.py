"""A small picture of what stands in a file, whatever that is. Pillow is used here and nowhere else.

Only formats whose decoders run in this process are tried: Pillow would start Ghostscript for some others. It loads much
of itself when that is first needed; :func:`load` does so before, as the worker can't any more once it is confined.
"""

import importlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import AvifImagePlugin, Image, ImageOps, UnidentifiedImageError

from syncd.preview.protocol import Unshowable

FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PSD", "TIFF", "WEBP")
MOST_PIXELS = 128_000_000
"""Pixels that are decoded at most: the largest cameras make 102 million."""
QUALITY = 80
EFFORT = 2
"""Of WebP's 0 to 6: half the time of its default, and hardly larger."""
LARGEST_PROFILE = 16 * 1024
"""Bytes of a colour profile that a picture carries along."""
_LAZY = ("copy", "PIL.ImageCms", "PIL.ImageColor", "PIL.ImagePalette", "PIL.TiffImagePlugin")
"""What Pillow imports in the middle of its functions, beside the plugins of its formats."""

Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # looked at before anything is decoded, and for what is nested in an ICO too
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each would have its stack and heap in the memory that the worker may use


def load() -> None:
    """Load all that :func:`render` may need, whatever the image is."""
    Image.init()
    for module in _LAZY:
        importlib.import_module(module)


def render(file: BinaryIO, edge: int) -> bytes:
    """Return a WebP image of the first picture in ``file``, upright, neither edge longer than ``edge`` pixels.

    A smaller one stays as it is. :class:`Unshowable` if there is none.
    """
    try:
        with _strict(), Image.open(file, formats=FORMATS) as picture:
            return _encoded(_small(picture, edge))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unshowable(f"more than {MOST_PIXELS // 1_000_000} megapixels") from None
    except MemoryError:
        raise Unshowable("too large to be shown") from None
    except UnidentifiedImageError:
        raise Unshowable("not an image of a kind that can be shown") from None
    except Exception:  # noqa: BLE001 - a broken image meets any line of any decoder
        raise Unshowable("the image is broken") from None


@contextmanager
def _strict() -> Generator[None]:
    """Refuse what Pillow only warns of, where that is too many pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _small(picture: Image.Image, edge: int) -> Image.Image:
    """Scale down first and do all else to the small one, as far as the mode allows it."""
    if picture.mode in ("1", "P", "PA"):  # numbers that can't be averaged
        picture = _in_colours(picture)
    deep = picture.mode.startswith("I;16")
    if deep:
        picture = picture.convert("I")
    picture.thumbnail((edge, edge))
    if picture.mode in ("I", "F"):
        picture = _in_grey(picture, (0, 65_535) if deep else picture.getextrema())
    return _in_colours(_upright(picture))


def _in_grey(picture: Image.Image, span: object) -> Image.Image:
    """Map a span of values to what a screen can show."""
    assert isinstance(span, tuple)
    low, high = span
    scale = 255 / ((high - low) or 1)
    return picture.point(lambda value: value * scale + -low * scale).convert("L")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - broken EXIF is met in as many ways, and the picture may be fine
        return picture


def _in_colours(picture: Image.Image) -> Image.Image:
    wanted = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode == wanted:
        return picture
    converted = picture.convert(wanted)
    converted.info.pop("icc_profile", None)  # it speaks of the mode before
    return converted


def _encoded(picture: Image.Image) -> bytes:
    profile = picture.info.get("icc_profile") or b""
    if len(profile) > LARGEST_PROFILE:
        profile = b""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=EFFORT, icc_profile=profile)
    return out.getvalue()
