import os
import subprocess
import sys

import pytest

from syncd.platform.file_info import birth_ns

if sys.platform != "linux":
    pytest.skip("os.stat tells elsewhere", allow_module_level=True)


@pytest.mark.e2e
def test_birth_ns_equals_that_of_stat(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    output = subprocess.run(["stat", "-c", "%.9W", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, _, rest = output.strip().partition(".")
    assert birth_ns(str(path)) == int(seconds) * 10**9 + int(rest)
    with path.open("rb") as file:
        assert birth_ns(file.fileno()) == birth_ns(str(path))


def test_birth_ns_survives_change_and_rename(tmp_path):
    path, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(b"x")
    before = birth_ns(str(path))
    path.write_bytes(b"changed")
    os.utime(path, (1, 1))
    path.rename(other)
    assert birth_ns(str(other)) == before is not None


def test_birth_ns_with_follow_symlinks_is_that_of_the_target(tmp_path):
    path, link = tmp_path / "a.jpg", tmp_path / "link"
    path.write_bytes(b"x")
    link.symlink_to(path)
    assert birth_ns(str(link), follow_symlinks=True) == birth_ns(str(path)) != birth_ns(str(link))


def test_birth_ns_is_none_if_unknown(tmp_path):
    assert birth_ns(str(tmp_path / "missing")) is None
    with open("/proc/self/status", "rb") as file:
        assert birth_ns(file.fileno()) is None


@pytest.mark.unix
def test_birth_ns_of_name_that_is_not_utf_8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.jpg")
    with open(path, "xb") as file:
        assert birth_ns(os.fsdecode(path)) == birth_ns(file.fileno())
