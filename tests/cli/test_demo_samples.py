import hashlib
import os
import random

import pytest
from PIL import Image

from syncd.cli.demo.samples import LARGEST_BYTES, NAMES, write_all


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return {os.path.relpath(path, folder): path for path in write_all(str(folder), random.Random())}


def test_samples_have_all_types_and_names(samples):
    assert tuple(samples) == NAMES
    kinds = {os.path.splitext(name)[1].lower() for name in samples}
    assert kinds == {".bmp", ".jpg", ".jpeg", ".png", ".webp", ".txt"}
    assert any(" " in name for name in samples)
    assert any("\u0600" <= letter <= "\u06ff" for name in samples for letter in name)
    assert any(letter > "\U0001f000" for name in samples for letter in name)


def test_samples_are_all_different(samples):
    digests = set()
    for path in samples.values():
        with open(path, "rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").hexdigest())
    assert len(digests) == len(samples)


def test_samples_are_valid_images_and_ascii(samples):
    for name, path in samples.items():
        if name.endswith(".txt"):
            with open(path, encoding="ascii") as file:
                assert len(file.read().splitlines()) > 5
        else:
            with Image.open(path) as image:
                image.load()


def test_largest_sample_has_exact_size(samples):
    assert os.path.getsize(samples["largest.bmp"]) == LARGEST_BYTES == 62_914_560
