"""The worker as a real process: started when needed, ended when idle, hanging, dead or orphaned; what it may touch."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from syncd.preview.protocol import NoPreviewError
from syncd.preview.renderer import Renderer
from tests.preview.images import KINDS, bomb, png
from tests.support.wait import wait_until

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


def told(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def gone(pid):
    try:
        return told(pid, "stat").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_one_worker_makes_many_pictures(renderer, tmp_path):
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


async def test_it_ends_when_idle_and_another_is_started(tmp_path):
    renderer = Renderer(idle=0.01)
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    await wait_until(lambda: renderer.pid is None)
    assert await shown(renderer, tmp_path / "a") == (100, 50)
    await renderer.close()


async def test_one_that_is_killed_at_work_is_replaced(renderer, tmp_path):
    await shown(renderer, tmp_path / "a", KINDS["jpg"])
    pid = renderer.pid
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(shown(renderer, tmp_path / "a"))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert await waiting == (100, 50)
    assert renderer.pid not in (None, pid)


async def test_one_that_hangs_is_ended_and_the_next_picture_comes(tmp_path):
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


async def test_one_that_took_its_time_of_computing_is_not_tried_again(renderer, tmp_path):
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


async def test_who_gives_up_waiting_spoils_nothing_for_the_next(renderer, tmp_path):
    (tmp_path / "large").write_bytes(png(4000, 4000, rows=bytes(4001 * 4000)))
    asking = asyncio.create_task(shown(renderer, tmp_path / "large", edge=1600))
    await wait_until(lambda: renderer.pid)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert await shown(renderer, tmp_path / "a", KINDS["jpg"]) == (100, 50)


async def test_memory_is_limited(renderer, tmp_path):
    """A file with few pixels, that has to be read as a whole."""
    with (tmp_path / "large").open("wb") as file:
        file.write(KINDS["webp"][:16])
        file.truncate(2 * 1024**3)
    with pytest.raises(NoPreviewError, match="too large"):
        await shown(renderer, tmp_path / "large")
    assert await shown(renderer, tmp_path / "a", KINDS["jpg"]) == (100, 50)


async def test_it_has_nothing_of_ours(renderer, tmp_path, monkeypatch):
    monkeypatch.setenv("DRIVE_TOKEN", "the secret of the house")
    with (tmp_path / "store").open("wb") as store:
        os.set_inheritable(store.fileno(), True)
        await shown(renderer, tmp_path / "a", KINDS["jpg"])
        pid = renderer.pid
        open_files = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    assert len([name for name in open_files if name.startswith("socket:")]) == 1
    assert [name for name in open_files if str(tmp_path) in name] == []
    assert all("secret" not in told(pid, name) for name in ("environ", "cmdline"))
    assert os.getsid(pid) == pid  # Ctrl-C on our terminal is not for it
    assert str(1024**3) in told(pid, "limits")
    assert "Max file size             0" in told(pid, "limits")


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
def test_it_dies_with_a_daemon_that_is_killed(tmp_path, at_work):
    (tmp_path / "a").write_bytes(KINDS["jpg"])
    (tmp_path / "b").write_bytes(png(9000, 9000, rows=bytes(9001 * 9000)) if at_work else b"")
    command = [sys.executable, "-c", ORPHANS, tmp_path / "a", tmp_path / "b"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        pid = int(child.stdout.readline())
        child.kill()
    deadline = time.monotonic() + 30
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
