"""Tests the renderer with a real worker process: start, reuse, failure, end."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer
from tests.support.images import KINDS, bomb, png
from tests.support.wait import wait_until, wait_until_sync

pytestmark = [pytest.mark.unix, pytest.mark.e2e]  # on Windows: tests/windows/test_previews.py


@pytest.fixture
async def renderer():
    made = Renderer()
    yield made
    await made.close()


async def shown(renderer, path, data=None, edge=100):
    if data is not None:
        path.write_bytes(data)
    with path.open("rb") as file:
        return Image.open(io.BytesIO(await renderer.render(file.fileno(), edge))).size


def read_proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def gone(pid):
    try:
        return read_proc(pid, "stat").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_renderer_reuses_worker(renderer, tmp_path):
    assert renderer.pid is None
    assert await shown(renderer, tmp_path / "a", KINDS["jpg"]) == (100, 50)
    pid = renderer.pid
    for data in (bomb(), b"", KINDS["png"][:100]):
        with pytest.raises(NoPreviewError):
            await shown(renderer, tmp_path / "bad", data)
    assert await asyncio.gather(*(shown(renderer, tmp_path / "a", edge=40) for _ in range(20))) == [(40, 20)] * 20
    assert renderer.pid == pid
    await renderer.close()
    assert gone(pid)


async def test_renderer_idle_worker_ends_and_is_replaced(tmp_path):
    renderer = Renderer(idle=0.01)
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    await wait_until(lambda: renderer.pid is None)
    assert await shown(renderer, tmp_path / "a") == (100, 50)
    await renderer.close()


async def test_renderer_killed_worker_is_replaced(renderer, tmp_path):
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    pid = renderer.pid
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(shown(renderer, tmp_path / "a"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert await waiting == (100, 50)
    assert renderer.pid not in (None, pid)


async def test_renderer_hanging_worker_is_ended_and_replaced(tmp_path):
    renderer = Renderer(render_timeout=5)
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    pid = renderer.pid
    renderer._render_timeout = 0.05
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(NoPreviewError, match="too long"):
        await shown(renderer, tmp_path / "a")
    assert gone(pid)
    renderer._render_timeout = 20
    assert await shown(renderer, tmp_path / "a") == (100, 50)
    await renderer.close()


async def test_renderer_cpu_limit_is_not_retried(renderer, tmp_path):
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    pid = renderer.pid
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(shown(renderer, tmp_path / "a"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGXCPU)  # as the kernel does
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(NoPreviewError, match="too much"):
        await waiting
    assert renderer.pid is None


async def test_renderer_cancelled_request_keeps_next_intact(renderer, tmp_path):
    (tmp_path / "large").write_bytes(png(4000, 4000, rows=bytes(4001 * 4000)))
    asking = asyncio.create_task(shown(renderer, tmp_path / "large", edge=1600))
    await wait_until(lambda: renderer.pid)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert await shown(renderer, tmp_path / "a", KINDS["jpg"]) == (100, 50)


async def test_renderer_memory_limit_rejects_large_file(renderer, tmp_path):
    """The file has few pixels, but the decoder reads all of it."""
    with (tmp_path / "large").open("wb") as file:
        file.write(KINDS["webp"][:16])
        file.truncate(2 * 1024**3)
    with pytest.raises(NoPreviewError, match="too large"):
        await shown(renderer, tmp_path / "large")
    assert await shown(renderer, tmp_path / "a", KINDS["jpg"]) == (100, 50)


async def test_worker_inherits_no_file_token_or_terminal(renderer, tmp_path, monkeypatch):
    monkeypatch.setenv("DRIVE_TOKEN", "the secret of the house")
    with (tmp_path / "store").open("wb") as store:
        os.set_inheritable(store.fileno(), True)
        await shown(renderer, tmp_path / "a", KINDS["jpg"])
        pid = renderer.pid
        open_files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    assert len([name for name in open_files if name.startswith("socket:")]) == 1
    assert [name for name in open_files if str(tmp_path) in name] == []
    assert all("secret" not in read_proc(pid, name) for name in ("environ", "cmdline"))
    assert os.getsid(pid) == pid  # Ctrl-C on the daemon's terminal does not reach it
    assert str(1024**3) in read_proc(pid, "limits")
    assert "Max file size             0" in read_proc(pid, "limits")


ORPHANS = """
import asyncio, sys
from contextlib import suppress
import structlog
from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer
structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
async def main():
    renderer = Renderer()
    with open(sys.argv[1], "rb") as first, open(sys.argv[2], "rb") as second:
        await renderer.render(first.fileno(), 100)
        print(renderer.pid, flush=True)
        with suppress(NoPreviewError):
            await renderer.render(second.fileno(), 1600)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("at_work", [True, False])
def test_worker_ends_when_daemon_is_killed(tmp_path, at_work):
    (tmp_path / "a").write_bytes(KINDS["jpg"])
    (tmp_path / "b").write_bytes(png(9000, 9000, rows=bytes(9001 * 9000)) if at_work else b"")
    command = [sys.executable, "-c", ORPHANS, tmp_path / "a", tmp_path / "b"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        pid = int(child.stdout.readline())
        child.kill()
    wait_until_sync(lambda: gone(pid), "the worker has ended", timeout=30)
