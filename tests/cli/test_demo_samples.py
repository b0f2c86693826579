import hashlib
import os
import random

import pytest
from PIL import Image

from syncd.cli.demo.samples import BIG, NAMES, write_all


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return {os.path.relpath(path, folder): path for path in write_all(str(folder), random.Random())}


def test_there_are_all_kinds(drawn):
    assert tuple(drawn) == NAMES
    kinds = {os.path.splitext(name)[1].lower() for name in drawn}
    assert kinds == {".bmp", ".jpg", ".jpeg", ".png", ".webp", ".txt"}
    assert any(" " in name for name in drawn)
    assert any("\u0600" <= letter <= "\u06ff" for name in drawn for letter in name)
    assert any(letter > "\U0001f000" for name in drawn for letter in name)


def test_no_two_are_the_same(drawn):
    digests = set()
    for path in drawn.values():
        with open(path, "rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").hexdigest())
    assert len(digests) == len(drawn)


def test_images_are_images_and_texts_are_ascii(drawn):
    for name, path in drawn.items():
        if name.endswith(".txt"):
            with open(path, encoding="ascii") as file:
                assert len(file.read().splitlines()) > 5
        else:
            with Image.open(path) as image:
                image.load()


def test_the_largest_is_exactly_so_long(drawn):
    assert os.path.getsize(drawn["largest.bmp"]) == BIG == 62_914_560
