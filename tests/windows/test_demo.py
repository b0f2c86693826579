"""The demo on Windows: it uploads, and its child processes always end with it."""

import http.client
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

from syncd.cli.demo.environment import DemoEnvironment, set_up
from syncd.control.client import ControlError
from tests.support.wait import wait_until_sync
from tests.windows.harness import syncd


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "demo"


def answers(client):
    try:
        return client.status()
    except ControlError:
        return None


def listens(url):
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)) as connection:
        try:
            connection.request("GET", "/v1/receiver")
            return connection.getresponse().status
        except OSError:
            return None


def test_demo_uploads_all_and_ends(folder, tmp_path):
    with syncd(tmp_path / "errors", "demo", "--once", "--dir", folder) as demo:
        output = demo.stdout.read()
        assert demo.wait() == 0, (tmp_path / "errors").read_text()
    assert output.endswith("24 files, 61 MiB, are on both remotes, compared byte for byte.\n")
    assert "daemon.ended" in (folder / "run.log").read_text("utf-8")
    with set_up(str(folder)) as environment:  # no process has a file of the last run open
        assert list(Path(environment.inbox).iterdir()) == []


def test_killed_demo_ends_its_children(folder, tmp_path):
    client = DemoEnvironment(str(folder)).client
    with syncd(tmp_path / "errors", "demo", "--dir", folder) as demo:
        url = demo.stdout.readline().split()[2].rstrip(",")
        assert answers(client)
        assert listens(url)
        demo.kill()
    wait_until_sync(lambda: not answers(client), "the daemon has ended")
    wait_until_sync(lambda: not listens(url), "the receiver has ended")


def test_demo_notices_daemon_shutdown(folder):
    with set_up(str(folder)) as environment, environment.services(0):
        assert not environment.ended()
        environment.client.shutdown()
        wait_until_sync(environment.ended, "it is noticed")
