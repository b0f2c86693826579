"""Tests rendering of one file: a small, upright image, or a reason on one line."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from syncd.preview.picture import render
from syncd.preview.protocol import NoPreviewError
from tests.support.images import BLUE, HARMFUL, KINDS, RED, halves, png, saved


def shown(data, edge=320):
    picture = Image.open(io.BytesIO(render(io.BytesIO(data), edge)))
    assert picture.format == "WEBP"
    return picture


def near(pixel, wanted):
    return all(abs(of - want) < 40 for of, want in zip(pixel[:3], wanted, strict=True))


def is_halves(picture):
    width, height = picture.size
    left, right = (picture.convert("RGB").getpixel((x, height // 2)) for x in (width // 5, width * 4 // 5))
    return near(left, RED) and near(right, BLUE)


@pytest.mark.parametrize("kind", KINDS)
def test_render_every_format(kind):
    picture = shown(KINDS[kind], 100)
    assert picture.size == (100, 50)
    assert is_halves(picture)


@pytest.mark.parametrize(
    ("mode", "how"),
    [
        ("CMYK", {"format": "JPEG", "quality": 95}),
        ("CMYK", {"format": "TIFF"}),
        ("P", {"format": "PNG"}),
        ("RGBA", {"format": "PNG"}),
        ("YCbCr", {"format": "TIFF"}),
    ],
)
def test_render_colour_modes_keep_colours(mode, how):
    assert is_halves(shown(saved(halves(mode=mode), **how), 100))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I", "F"])
def test_render_grey_modes_keep_brightness(mode):
    wide = Image.linear_gradient("L").rotate(-90)  # dark on the right
    deep = {"I;16": 256.0, "I": 70_000.0, "F": 0.001}
    if mode in deep:
        picture = wide.convert("F").point(lambda value: value * deep[mode] + 0).convert("I" if mode != "F" else "F")
        picture = picture.convert("I;16") if mode == "I;16" else picture
    else:
        picture = wide.convert(mode)
    got = shown(saved(picture, format="TIFF" if mode in ("I", "F") else "PNG"), 64).convert("L")
    left, middle, right = (ImageStat.Stat(got.crop((x, 0, x + 8, 64))).mean[0] for x in (0, 28, 56))
    assert left > 220
    assert 90 < middle < 165
    assert right < 35


def test_render_keeps_transparency():
    half = Image.new("RGBA", (100, 100), (*RED, 255))
    half.paste((0, 0, 0, 0), (50, 0, 100, 100))
    for picture, how in [(half, {}), (half.quantize(), {}), (halves(), {"transparency": BLUE})]:
        got = shown(saved(picture, format="PNG", **how), 50)
        alpha = got.getchannel("A")
        assert alpha.getpixel((10, 10)) == 255
        assert alpha.getpixel((got.width - 5, 10)) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_render_applies_exif_orientation(kind, orientation):
    back = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_90,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_270,
    ][orientation - 1]
    picture = halves((400, 200))
    picture.paste((20, 200, 20), (0, 0, 200, 60))
    stored = picture if back is None else picture.transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = shown(saved(stored, format=kind, exif=exif), 200)
    assert got.size == (200, 100)
    small = picture.resize((200, 100))
    assert max(of for _, of in ImageChops.difference(got.convert("RGB"), small).resize((20, 10)).getextrema()) < 60


def test_render_ignores_broken_exif():
    data = saved(halves(), format="JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fbroken")
    assert is_halves(shown(data))


def test_render_never_upscales_and_keeps_thin_images():
    assert shown(KINDS["png"]).size == (200, 100)
    assert shown(saved(Image.new("RGB", (5000, 2)), format="PNG")).size == (320, 1)


def test_render_animation_shows_first_frame():
    frames = [halves(), Image.new("RGB", (200, 100), "green")]
    for kind in ("GIF", "WEBP"):
        got = shown(saved(frames[0], format=kind, save_all=True, append_images=frames[1:]))
        assert is_halves(got)
        assert not getattr(got, "is_animated", False)


def test_render_drops_exif():
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010F] = "a camera"
    got = shown(saved(halves(), format="JPEG", exif=exif))
    assert not got.getexif()


@pytest.mark.parametrize("name", HARMFUL)
def test_render_harmful_file_gives_one_line_reason(name):
    with pytest.raises(NoPreviewError) as caught:
        render(io.BytesIO(HARMFUL[name]), 320)
    assert str(caught.value).isprintable()


def test_render_too_many_pixels_is_rejected():
    with pytest.raises(NoPreviewError, match="more than 128 megapixels"):
        render(io.BytesIO(png(12_800, 10_001)), 320)
    with pytest.raises(NoPreviewError, match="broken"):  # the size is within the limit, but the pixels are missing
        render(io.BytesIO(png(12_800, 10_000)), 320)


@pytest.mark.parametrize("data", [HARMFUL["a program"], saved(halves(), format="PPM"), saved(halves(), format="EPS")])
def test_render_unsupported_format_is_rejected(data):
    with pytest.raises(NoPreviewError, match="not an image in a supported format"):
        render(io.BytesIO(data), 320)
