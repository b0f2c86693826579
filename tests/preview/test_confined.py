"""Tests the confined worker from the outside: threads, limits, formats, missing layers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from syncd.preview import renderer as renderer_module
from syncd.preview.protocol import ANSWER, CPU_SECONDS, PREVIEWS_PER_WORKER, NoPreviewError
from syncd.preview.renderer import Renderer
from tests.support.images import KINDS, halves, saved

pytestmark = [pytest.mark.unix, pytest.mark.e2e]  # on Windows: tests/windows/test_previews.py
if sys.platform != "linux":
    pytest.skip("only Linux has more layers than limits", allow_module_level=True)

from syncd.preview import kernel  # noqa: E402 - only Linux can import it
from tests.preview.target import ALL, IS_ROOT, skip_unless_supported  # noqa: E402

CAP_SETPCAP = 1 << 8
"""The capability to remove capabilities from the bounding set."""


@pytest.fixture
async def renderer():
    made = Renderer()
    yield made
    await made.close()


async def shown(renderer, path, data=KINDS["jpg"]):
    path.write_bytes(data)
    with path.open("rb") as file:
        return await renderer.render(file.fileno(), 100)


def proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


async def test_worker_threads_all_have_sandbox_and_limits(renderer, tmp_path):
    skip_unless_supported(ALL)
    await shown(renderer, tmp_path / "a")
    threads = os.listdir(f"/proc/{renderer.pid}/task")
    assert len(threads) == 2
    for thread in threads:
        status = dict(re.findall(r"(\w+):\s*(.*)", proc(renderer.pid, f"task/{thread}/status")))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        assert int(status["CapBnd"], 16) == 0 or not kernel.capabilities()[0] & CAP_SETPCAP
    limits = re.findall(r"Max ([a-z ]+?) +(\d+) +(\d+)", proc(renderer.pid, "limits"))
    found = {name: (soft, hard) for name, soft, hard in limits}
    for name, most in {"file size": 0, "core file size": 0, "processes": 0, "open files": 16}.items():
        assert found[name] == (str(most), str(most))
    assert found["address space"] == (str(1024**3), str(1024**3))
    assert int(found["cpu time"][0]) <= CPU_SECONDS + 1 < PREVIEWS_PER_WORKER * CPU_SECONDS <= int(found["cpu time"][1])


def compressed():
    """Return TIFF images with each compression, and images with EXIF data in each format."""
    compressions = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma")
    made = {compression: saved(halves(), format="TIFF", compression=compression) for compression in compressions}
    made["group4"] = saved(halves(mode="1"), format="TIFF", compression="group4")
    made["lab"] = saved(halves(mode="LAB"), format="TIFF")
    for mode in ("CMYK", "L"):
        made[f"jpeg of {mode}"] = saved(halves(mode=mode), format="JPEG")
    exif = halves().getexif()
    exif[0x0112], exif[0x9C9B], exif[0x010F] = 6, "ü".encode("utf-16-le"), "a camera"
    exif.get_ifd(0x8825)[1] = "N"
    for kind in ("AVIF", "JPEG", "PNG", "TIFF", "WEBP"):
        made[f"exif in {kind}"] = saved(halves(), format=kind, exif=exif)
    return made


async def test_worker_in_sandbox_renders_every_format(renderer, tmp_path):
    skip_unless_supported(ALL)
    with capture_logs() as logs:
        for data in (KINDS | compressed()).values():
            assert (await shown(renderer, tmp_path / "a", data))[:4] == b"RIFF"
    assert logs == [{"event": "preview.sandboxed", "log_level": "info", "layers": ALL.split(), "missing": []}]


LOADED = """
import sys
from pathlib import Path
from syncd.preview.picture import load, render
load()
before = set(sys.modules)
for path in Path(sys.argv[1]).iterdir():
    with path.open("rb") as file:
        render(file, 100)
print(*sorted(set(sys.modules) - before))
"""


def test_render_after_load_imports_no_module(tmp_path):
    for name, data in (KINDS | compressed()).items():
        (tmp_path / name).write_bytes(data)
    ended = subprocess.run([sys.executable, "-c", LOADED, tmp_path], stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout.split() == []


async def test_worker_is_replaced_after_preview_limit(renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(renderer_module, "PREVIEWS_PER_WORKER", 3)
    pids = []
    with capture_logs() as logs:
        for _ in range(7):
            await shown(renderer, tmp_path / "a")
            pids.append(renderer.pid)
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
    assert [entry["event"] for entry in logs] == ["preview.sandboxed"]


TAKEN_OVER = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
channel.sendall(bytes(2))
channel.recv(100)
channel.sendall({})
channel.recv(100)
"""


@pytest.mark.parametrize(
    "answer",
    [
        f"{ANSWER.pack(True, 2**32 - 1)!r} + bytes(1000)",
        f"{ANSWER.pack(False, 4)!r} + b'ok\\x1b\\n'",
        f"{ANSWER.pack(False, 2**20)!r} + b'x' * 2**20",
    ],
    ids=["endless image", "unprintable reason", "endless reason"],
)
async def test_renderer_rejects_invalid_worker_answer(renderer, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(renderer_module, "_ARGUMENTS", ("-c", TAKEN_OVER.format(answer)))
    with pytest.raises(NoPreviewError, match="too much"):
        await shown(renderer, tmp_path / "a")


# The system lacks a layer, or an outer sandbox forbids it.

OUTER = """
import asyncio, errno, json, os, sys, structlog
from syncd.preview import kernel, seccomp
from syncd.preview.renderer import Renderer
from structlog.testing import capture_logs
number, path = int(sys.argv[1]), sys.argv[2]
step = seccomp._step
kernel.prctl(38, 1)
seccomp.install(b"".join([
    step(seccomp._LOAD, seccomp._NUMBER),
    step(seccomp._IF_EQUAL, number, 0, 1),
    step(seccomp._RETURN, seccomp._ERRNO | errno.EPERM),
    step(seccomp._RETURN, seccomp._ALLOW),
]))
async def main():
    renderer = Renderer()
    with open(path, "rb") as file, capture_logs() as logs:
        body = await renderer.render(file.fileno(), 100)
    await renderer.close()
    (entry,) = logs
    print(json.dumps([body[:4].decode(), entry["missing"]]))
asyncio.run(main())
"""
NUMBERS = {
    "x86_64": {"prctl": 157, "capset": 126, "prlimit64": 302},
    "aarch64": {"prctl": 167, "capset": 91, "prlimit64": 261},
}


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("landlock_create_ruleset", ["landlock"]),
        ("landlock_restrict_self", ["landlock"]),
        ("prlimit64", ["limits"]),
        ("capset", ["capabilities"] if IS_ROOT else []),
        ("prctl", ["no_new_privs", "seccomp"]),
    ],
)
def test_worker_skips_layer_that_outer_sandbox_forbids(tmp_path, call, missing):
    skip_unless_supported(ALL)
    number = {"landlock_create_ruleset": 444, "landlock_restrict_self": 446} | NUMBERS[os.uname().machine]
    (tmp_path / "a").write_bytes(KINDS["jpg"])
    command = [sys.executable, "-c", OUTER, str(number[call]), tmp_path / "a"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == f'["RIFF", {str(missing).replace(chr(39), chr(34))}]', ended.stderr
