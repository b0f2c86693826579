"""Builds the base system, and the packages of this checkout and of earlier commits."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "systemd"
SUITE = "bookworm"
NEXT_SUITE = "trixie"
NEXT_PYTHON = "3.13"
INCLUDED = "systemd-sysv,libpam-systemd,dbus,python3-venv"
TOOLS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container"}
BUILD_TOOLS = {"strip": "binutils", "dpkg-shlibdeps": "dpkg-dev"}
EARLIER = "0.0.1"
"""Version of the packages of the previous commit, so that this one is an upgrade."""
UNREACHABLE_MESSAGES = (
    "Could not resolve", "Failed to fetch", "Unable to connect", "Unable to fetch", "Unable to locate package",
    "Couldn't download", "Invalid Release file", "Failed getting release file", "unable to resolve host",
    "Connection", "Max retries", "Name or service not known", "name resolution", "Network is unreachable",
    "No matching distribution",
)  # fmt: skip
"""Messages of apt, debootstrap and pip about an unreachable server."""


def machines_folder() -> Path:
    """Return a folder for machines and images, in memory if there is enough."""
    memory = Path("/dev/shm")
    enough = memory.is_dir() and shutil.disk_usage(memory).free > 6 * 1024**3
    return Path(tempfile.mkdtemp(prefix="syncd-machines-", dir=memory if enough else BUILD))


class Unreachable(Exception):  # noqa: N818 - it says what is the case
    """A package server cannot be reached."""


def call(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    """Run a command that fetches or builds something."""
    ended = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    output = ended.stdout + ended.stderr
    if ended.returncode and any(sign in output for sign in UNREACHABLE_MESSAGES):
        raise Unreachable(f"{command[0]}: {output[-600:]}")
    assert ended.returncode == 0, f"{' '.join(map(str, command))}: {ended.returncode}\n{output[-3000:]}"
    return ended.stdout


def install(tools: Mapping[str, str]) -> None:
    """Install these tools, as command and package; one call at a time, because apt locks."""
    with (ROOT / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [package for tool, package in tools.items() if not shutil.which(tool)]
        if missing:
            quietly = "--quiet", "--yes", "--no-install-recommends"
            call("apt-get", "update", "--quiet")
            call("apt-get", "install", *quietly, *missing, DEBIAN_FRONTEND="noninteractive")


def _mirror() -> list[str]:
    """Return the mirror of this machine; none if unknown, then debootstrap uses its default."""
    found = call("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages")
    return [line.split()[1] for line in found.splitlines() if line.startswith(f"{SUITE} ")][:1]


def debian(suite: str = SUITE) -> Path:
    """Return the folder of a Debian, created once."""
    base = BUILD / ("base" if suite == SUITE else suite)
    if not base.is_dir():
        install(TOOLS)
        BUILD.mkdir(parents=True, exist_ok=True)
        part = base.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        call("debootstrap", "--variant=minbase", f"--include={INCLUDED}", suite, part, *_mirror())
        part.rename(base)
    return base


def build(source: Path) -> Path:
    """Build the wheel and the Debian package of a checkout; return their folder."""
    shutil.rmtree(source / "build" / "share", ignore_errors=True)
    shutil.rmtree(source / "dist", ignore_errors=True)
    here = {"PYTHONPATH": str(source)}
    call(sys.executable, "packaging/share.py", "build/share", cwd=source, **here)
    call(sys.executable, "-m", "hatchling", "build", "--directory", "dist", cwd=source, **here)
    install(BUILD_TOOLS)
    call("packaging/debian/build.sh", f"{sys.executable} -m pip", cwd=source)
    return source / "dist"


def build_next(dist: Path) -> Path:
    """Build the Debian package for the next Debian; return its folder.

    The package contains the wheel in this checkout's ``dist``.
    """
    folder = BUILD / f"{NEXT_SUITE}-dist"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    call("packaging/debian/build.sh", f"{sys.executable} -m pip", NEXT_PYTHON)
    (package,) = dist.glob(f"*+py{NEXT_PYTHON}_*.deb")
    shutil.move(package, folder / package.name)
    return folder


def checkout(commit: str, name: str) -> Path | None:
    """Return a folder with an earlier commit of the project; None if the history lacks it."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        return None
    source = BUILD / name
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    subprocess.run(["tar", "--extract"], cwd=source, input=archive.stdout, check=True)
    return source


def before() -> Path | None:
    """Return the previous commit with an earlier version; None if it has no package."""
    source = checkout("HEAD^", "before")
    if source is None or not (source / "packaging/debian/build.sh").exists():
        return None
    (source / "syncd" / "__init__.py").write_text(f'"""An earlier one."""\n\n__version__ = "{EARLIER}"\n')
    return source


def before_the_newest_schema() -> Path | None:
    """Return the last commit with the store's previous schema; None if unknown."""
    newest = max((ROOT / "syncd/store/migrations/versions").glob("0*.py"))
    added = ["git", "log", "--diff-filter=A", "--format=%H", "--", str(newest)]
    commits = subprocess.run(added, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    return checkout(f"{commits[-1]}^", "before-the-schema") if commits else None


def wheels(dist: Path) -> Path:
    """Return a folder with the wheel and its libraries, for a machine without a network."""
    folder = BUILD / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    python = ["--python-version", "3.11", "--only-binary=:all:", "--no-deps"]
    lock = ROOT / "requirements" / "run.txt"
    call(
        sys.executable, "-m", "pip", "download", "--quiet", *python, "--require-hashes", "-r", lock, "-d", folder
    )  # fmt: skip
    shutil.copy(wheel_in(dist), folder)
    return folder


def version_of(dist: Path) -> str:
    """Return the version of the wheel in the folder."""
    return wheel_in(dist).name.split("-")[1]


def wheel_in(dist: Path) -> Path:
    """Return the wheel in the folder."""
    (wheel,) = dist.glob("*.whl")
    return wheel
