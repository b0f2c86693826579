import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy
from tests.faults.resends import TIMEOUT_SECONDS
from tests.support.processes import DaemonProcess, ReceiverProcess

FULL = os.environ.get("FAULTS") == "full"
full_only = pytest.mark.skipif(not FULL, reason="takes long: make chaos")
_MEMORY = "/dev/shm"
_MIN_FREE_BYTES = 4 * 1024**3


@pytest.fixture
def scale():
    """Choose a size: ``scale(short, full)`` is the full one in ``make chaos``."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def base(tmp_path):
    """Create a folder in memory if that has enough space: the tests do not test the disk."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _MIN_FREE_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="syncd-faults-") as path:
        yield Path(path)


@pytest.fixture
def receiver(base):
    with ReceiverProcess(base / "server") as running:
        yield running


@pytest.fixture
def proxy(receiver):
    with Proxy(receiver.port) as running:
        yield running


@pytest.fixture
def daemon(base, proxy):
    """A daemon, not started yet, that reaches both services through the proxy.

    Its timeouts and retry delays are short.
    """
    made = DaemonProcess(base, proxy.url, retry={"initial": "50ms", "max": "500ms"})
    for remote in made.settings["remotes"].values():
        remote["timeout"] = f"{TIMEOUT_SECONDS}s"
    yield made
    made.kill()
    if shown := os.environ.get("FAULTS_LOGS"):
        shutil.copy(made.log, os.path.join(shown, f"{base.name}.log"))
