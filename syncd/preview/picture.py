"""Renders a small WebP preview of an image file.

Only this module uses Pillow, and only the worker imports it. It enables only formats whose decoders run in this
process; for some others, Pillow would start Ghostscript. Pillow imports many of its modules on demand. :func:`load`
imports them in advance, because the sandbox forbids opening files.
"""

import importlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import AvifImagePlugin, Image, ImageOps, UnidentifiedImageError

from syncd.preview.protocol import NoPreviewError

FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PSD", "TIFF", "WEBP")
MAX_PIXELS = 128_000_000
"""The largest cameras produce 102 million pixels."""
QUALITY = 80
EFFORT = 2
"""WebP's compression effort, 0 to 6. 2 takes half the time of the default, and the files are hardly larger."""
MAX_PROFILE_BYTES = 16 * 1024
"""The preview omits a larger colour profile."""
_LAZY = ("copy", "PIL.ImageCms", "PIL.ImageColor", "PIL.ImagePalette", "PIL.TiffImagePlugin")
"""Modules that Pillow imports inside its functions, in addition to the plugins of its formats."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow checks it before decoding, also for images inside an ICO file
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the memory limit counts the stack and heap of each thread


def load() -> None:
    """Import every module that :func:`render` may need for any image."""
    Image.init()
    for module in _LAZY:
        importlib.import_module(module)


def render(file: BinaryIO, edge: int) -> bytes:
    """Return the first image in ``file`` as an upright WebP.

    No edge is longer than ``edge`` pixels; small images are not enlarged. Raises :class:`NoPreviewError` if the file
    has no image that can be decoded.
    """
    try:
        with _strict(), Image.open(file, formats=FORMATS) as picture:
            return _encoded(_small(picture, edge))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NoPreviewError(f"more than {MAX_PIXELS // 1_000_000} megapixels") from None
    except MemoryError:
        raise NoPreviewError("too large for a preview") from None
    except UnidentifiedImageError:
        raise NoPreviewError("not an image in a supported format") from None
    except Exception:  # noqa: BLE001 - a broken image can raise anything in a decoder
        raise NoPreviewError("the image is broken") from None


@contextmanager
def _strict() -> Generator[None]:
    """Turn Pillow's warning about too many pixels into an error. Ignore its other warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _small(picture: Image.Image, edge: int) -> Image.Image:
    """Scale the image down, then convert it: conversions of a small image are cheap."""
    if picture.mode in ("1", "P", "PA"):  # convert first, because palette indexes can't be averaged
        picture = _in_colours(picture)
    deep = picture.mode.startswith("I;16")
    if deep:
        picture = picture.convert("I")
    picture.thumbnail((edge, edge))
    if picture.mode in ("I", "F"):
        picture = _in_grey(picture, (0, 65_535) if deep else picture.getextrema())
    return _in_colours(_upright(picture))


def _in_grey(picture: Image.Image, span: object) -> Image.Image:
    """Map the values in ``span`` (lowest, highest) to 8-bit grey."""
    assert isinstance(span, tuple)
    low, high = span
    scale = 255 / ((high - low) or 1)
    return picture.point(lambda value: value * scale + -low * scale).convert("L")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - broken EXIF can raise anything, and the image may be intact
        return picture


def _in_colours(picture: Image.Image) -> Image.Image:
    wanted = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode == wanted:
        return picture
    converted = picture.convert(wanted)
    converted.info.pop("icc_profile", None)  # the profile describes the previous mode
    return converted


def _encoded(picture: Image.Image) -> bytes:
    profile = picture.info.get("icc_profile") or b""
    if len(profile) > MAX_PROFILE_BYTES:
        profile = b""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=EFFORT, icc_profile=profile)
    return out.getvalue()
