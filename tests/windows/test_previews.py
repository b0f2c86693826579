"""The preview process: it gets open files, and is ended or replaced in every state."""

import asyncio
import io
import subprocess
import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32api
import win32con
import win32event
import win32job
from PIL import Image

from syncd.preview.protocol import MAX_MEMORY_BYTES, NoPreviewError
from syncd.preview.renderer import Renderer
from tests.preview.test_renderer import ORPHANS
from tests.support.images import KINDS, bomb, png
from tests.support.wait import wait_until

TIMEOUT_MS = 30_000


@pytest.fixture
async def renderer():
    renderer = Renderer()
    yield renderer
    await renderer.close()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(KINDS["jpg"])
    return path


async def rendered_size(renderer, path, data=None, edge=100):
    if data is not None:
        path.write_bytes(data)
    with path.open("rb") as file:
        return Image.open(io.BytesIO(await renderer.render(file.fileno(), edge))).size


def open_process(pid):
    """Return a handle of the process, which stays valid if the pid is reused."""
    return win32api.OpenProcess(win32con.SYNCHRONIZE | win32con.PROCESS_TERMINATE, False, pid)


def has_ended(process, timeout_ms=TIMEOUT_MS):
    return win32event.WaitForSingleObject(process, timeout_ms) == win32event.WAIT_OBJECT_0


async def test_renderer_reuses_worker(renderer, image, tmp_path):
    assert renderer.pid is None
    assert await rendered_size(renderer, image) == (100, 50)
    pid, process = renderer.pid, open_process(renderer.pid)
    for data in (bomb(), b"", KINDS["png"][:100]):
        with pytest.raises(NoPreviewError):
            await rendered_size(renderer, tmp_path / "bad", data)
    assert await asyncio.gather(*(rendered_size(renderer, image, edge=40) for _ in range(20))) == [(40, 20)] * 20
    assert renderer.pid == pid
    await renderer.close()
    assert has_ended(process, 0)


async def test_renderer_keeps_no_file_open(renderer, image):
    await rendered_size(renderer, image)
    image.rename(image.with_name("b.jpg"))


async def test_renderer_replaces_idle_worker(image):
    renderer = Renderer(idle=0.01)
    await rendered_size(renderer, image)
    await wait_until(lambda: renderer.pid is None)
    assert await rendered_size(renderer, image) == (100, 50)
    await renderer.close()


async def test_renderer_replaces_killed_worker(renderer, image):
    await rendered_size(renderer, image)
    pid, process = renderer.pid, open_process(renderer.pid)
    win32api.TerminateProcess(process, 1)
    assert await rendered_size(renderer, image) == (100, 50)
    assert renderer.pid not in (None, pid)


async def test_renderer_ends_slow_worker(renderer, image, tmp_path):
    await rendered_size(renderer, image)
    process = open_process(renderer.pid)
    renderer._render_timeout = 0.05
    with pytest.raises(NoPreviewError, match="too long"):
        await rendered_size(renderer, tmp_path / "large", png(4000, 4000, rows=bytes(4001 * 4000)), edge=1600)
    assert has_ended(process, 0)
    renderer._render_timeout = 20
    assert await rendered_size(renderer, image) == (100, 50)


async def test_worker_is_limited_by_job_object(renderer, image):
    """Check what the system reports: wine puts processes into jobs but ignores limits."""
    await rendered_size(renderer, image)
    process = renderer._worker.process
    job = process._job._job
    assert win32job.IsProcessInJob(int(process._popen._handle), job)
    limits = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
    if not limits["BasicLimitInformation"]["LimitFlags"]:
        pytest.skip("this Windows does not tell the limits of a job")
    assert limits["ProcessMemoryLimit"] == MAX_MEMORY_BYTES
    assert limits["BasicLimitInformation"]["ActiveProcessLimit"] == 1
    assert limits["BasicLimitInformation"]["PerProcessUserTimeLimit"] > 0


@pytest.mark.parametrize("rendering", [True, False])
def test_worker_ends_with_killed_daemon(image, tmp_path, rendering):
    (tmp_path / "b").write_bytes(png(9000, 9000, rows=bytes(9001 * 9000)) if rendering else b"")
    command = [sys.executable, "-c", ORPHANS, image, tmp_path / "b"]
    with subprocess.Popen(command, stdin=-3, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        process = open_process(int(child.stdout.readline()))
        child.kill()
    assert has_ended(process)
