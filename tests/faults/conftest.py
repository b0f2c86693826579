import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy
from tests.support.processes import DaemonProcess, ReceiverProcess

FULL = os.environ.get("FAULTS") == "full"
full_only = pytest.mark.skipif(not FULL, reason="takes long: make chaos")
_MEMORY = "/dev/shm"
_ROOM = 4 * 1024**3


@pytest.fixture
def scale():
    """Choose a size: ``scale(short, full)`` is the full one in ``make chaos``."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def place(tmp_path):
    """Create a folder in memory if that has enough space: the tests do not test the disk."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="syncd-faults-") as path:
        yield Path(path)


@pytest.fixture
def receiver(place):
    with ReceiverProcess(place / "server") as running:
        yield running


@pytest.fixture
def proxy(receiver):
    with Proxy(receiver.port) as running:
        yield running


@pytest.fixture
def daemon(place, proxy):
    """A daemon, not started yet, that reaches both services through the proxy.

    Its timeouts and retry delays are short.
    """
    made = DaemonProcess(place, proxy.url, retry={"initial": "50ms", "max": "500ms"})
    for remote in made.settings["remotes"].values():
        remote["timeout"] = "2s"
    yield made
    made.kill()
    if shown := os.environ.get("FAULTS_LOGS"):
        shutil.copy(made.log, os.path.join(shown, f"{place.name}.log"))
