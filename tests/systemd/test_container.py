"""The container image, built from the wheel on a base image of the same Debian."""

import pytest

from tests.systemd import packages
from tests.systemd.conftest import fetched

PIP = "[global]\nno-index = true\nfind-links = /wheels\n"


@pytest.fixture(scope="module")
def buildah(machines_folder):
    """Run buildah with a separate storage; return the last word of its output."""
    fetched(packages.install, {"buildah": "buildah"})
    folder = machines_folder / "containers"
    storage = [f"--root={folder}/root", f"--runroot={folder}/run", "--storage-driver=overlay"]

    def run(*words, **env):
        out = packages.call("buildah", *storage, *words, BUILDAH_ISOLATION="chroot", **env)
        return (out.split() or [""])[-1]

    yield run
    run("rm", "--all")


def test_container_image_uploads_files(debian, wheels, buildah, tmp_path):
    (tmp_path / "pip.conf").write_text(PIP)
    base = buildah("from", "scratch")
    for source, target in (debian, "/"), (wheels, "/wheels"), (tmp_path / "pip.conf", "/etc/pip.conf"):
        buildah("add", "--quiet", base, str(source), target)
    buildah("commit", "--quiet", base, "localhost/base")
    buildah("bud", "--quiet", "--build-arg=BASE=localhost/base", "--tag=localhost/syncd",
            "--file=packaging/container/Containerfile", str(packages.ROOT))  # fmt: skip
    made = buildah("from", "localhost/syncd")
    assert buildah("run", made, "--", "id", "-un") == "syncd"
    buildah("run", made, "--", "syncd", "demo", "--once")
