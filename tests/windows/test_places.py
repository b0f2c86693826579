"""Conversion of Windows paths to URIs and to paths in a folder."""

import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

from syncd.control import job_targets
from syncd.paths import full, inside


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        (r"C:\Photos\a b.jpg", "file:///C%3A/Photos/a%20b.jpg"),
        (r"\\nas\photos\Ж.jpg", "file://nas/photos/%D0%96.jpg"),
        ("D:\\", "file:///D%3A/"),
    ],
)
def test_target_uri_of_windows_path(path, wire):
    assert job_targets.encode_target(path) == wire
    assert job_targets.decode_target(wire) == path


@pytest.mark.parametrize("text", ["file:///photos", "file:///C:photos", "file:C:/photos", "C:\\photos"])
def test_decode_relative_path_is_refused(text):
    with pytest.raises(ValueError, match="absolute"):
        job_targets.decode_target(text)


def test_full_and_inside_convert_separators():
    assert full(r"C:\Photos", "2026/may/a.jpg") == r"C:\Photos\2026\may\a.jpg"
    assert inside(r"C:\Photos", r"c:\photos\2026\may\A.jpg") == "2026/may/A.jpg"
    assert inside(r"C:\Photos", r"C:\PHOTOS") == ""
    assert inside(r"C:\Photos", r"C:\Photos of others\a.jpg") is None
    assert inside("D:\\", r"D:\a.jpg") == "a.jpg"
