"""The Debian package for Debian 13, from its installation to its purge."""

import io

import pytest
from PIL import Image

from tests.systemd import packages
from tests.systemd.conftest import fetched
from tests.systemd.harness import config, drop, install, set_up

LOAD_ALL = """
import ctypes, pathlib
for path in pathlib.Path("/usr/lib/syncd/lib").rglob("*.so*"):
    ctypes.CDLL(str(path))
from PIL import features
assert all(features.check(codec) for codec in ("jpg", "webp", "avif", "libtiff", "jpg_2000")), features.get_supported()
"""


@pytest.fixture(scope="session")
def debian():
    return fetched(packages.debian, packages.NEXT_SUITE)


@pytest.fixture(scope="module")
def package(dist):
    return fetched(packages.build_next, dist)


def test_install_compiles_and_loads_every_library(machine, package):
    install(machine, package)
    assert machine.do("dpkg", "--verify", "syncd") == ""
    machine.do("/usr/lib/syncd/bin/python3", "-c", LOAD_ALL)
    machine.do("sh", "-c", "test -d /usr/lib/syncd/lib/python3.13/site-packages/syncd/__pycache__")


def test_files_in_inbox_are_uploaded(machine, ports):
    set_up(machine, "/usr/bin/syncd", ports)
    machine.write("/etc/syncd/config.yaml", config(ports), 0o640)
    machine.do("chgrp", "syncd", "/etc/syncd/config.yaml")
    machine.do("syncd", "check", "-c", "/etc/syncd/config.yaml")
    machine.do("systemctl", "enable", "--now", "syncd")
    picture = io.BytesIO()
    Image.new("RGB", (1000, 500), "teal").save(picture, "PNG")
    machine.write("/var/spool/syncd/teal.png", picture.getvalue())
    drop(machine, "a.jpg")
    machine.until_done("a.jpg", "teal.png")


def test_purge_leaves_no_program_file(machine):
    machine.do("dpkg", "--purge", "syncd")
    left = machine.do("find", "/usr", "/etc", "/var/lib", "-xdev", "-name", "syncd*", "-not", "-path", "/etc/systemd/*")
    assert left == ""
    machine.do("test", "-s", "/var/spool/syncd/a.jpg")
