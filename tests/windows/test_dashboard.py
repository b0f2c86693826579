"""The dashboard on Windows, with a browser's requests: log in, upload and preview a file."""

import io
import re
import socket
import sys
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

from PIL import Image

from syncd.control.client import RequestRefusedError
from syncd.control.job_targets import encode_target
from tests.support.images import KINDS
from tests.support.wait import wait_until_sync


class Browser:
    """Opens the login address and keeps the cookie."""

    def __init__(self, invitation):
        self.address = urlsplit(invitation).netloc
        self.headers = {}
        status, _, cookie = self.ask("GET", invitation)
        assert status == 200
        self.headers = {"Cookie": cookie.partition(";")[0]}

    def ask(self, method, url, body=None):
        with closing(HTTPConnection(self.address, timeout=60)) as connection:
            connection.request(method, url.removeprefix(f"http://{self.address}"), body, self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Set-Cookie")


def with_dashboard(harness, port=0):
    harness.settings["control"] = {"dashboard": f"127.0.0.1:{port}"}
    harness.start()


def job(harness, name):
    (found,) = harness.client.show(str(harness.inbox / name))
    return found["id"]


def test_dashboard_ticket_allows_upload_and_preview(harness):
    with_dashboard(harness)
    invitation = harness.client.dashboard()
    browser = Browser(invitation)
    assert browser.ask("GET", "/")[0] == 200
    where = urlencode({"folder": encode_target(str(harness.inbox)), "name": "Ж猫 📟.tif"})
    assert browser.ask("PUT", f"/v1/drop?{where}", KINDS["tif"])[0] == 201
    assert harness.arrived("Ж猫 📟.tif")
    status, picture, _ = browser.ask("GET", f"/v1/preview?job={job(harness, 'Ж猫 📟.tif')}")
    assert status == 200
    assert Image.open(io.BytesIO(picture)).size == (200, 100)

    browser.headers = {}
    assert browser.ask("GET", "/v1/status")[0] == 401
    assert browser.ask("GET", invitation)[0] == 401  # the ticket is valid once


def test_dashboard_token_allows_access(harness):
    with_dashboard(harness)
    browser = Browser(harness.client.dashboard())
    token = (harness.base / "state" / "dashboard.token").read_text().strip()
    browser.headers = {"Authorization": f"Bearer {token}"}
    assert browser.ask("GET", "/v1/status")[0] == 200


def test_preview_does_not_block_rename(harness):
    with_dashboard(harness)
    browser = Browser(harness.client.dashboard())
    large = bytes(range(256)) * 80_000
    (harness.inbox / "a.jpg").write_bytes(large)
    assert harness.arrived("a.jpg")
    with closing(HTTPConnection(browser.address, timeout=60)) as connection:
        connection.request("GET", f"/v1/original?job={job(harness, 'a.jpg')}", headers=browser.headers)
        answer = connection.getresponse()
        begun = answer.read(1)
        (harness.inbox / "a.jpg").rename(harness.inbox / "b.jpg")
        assert begun + answer.read() == large
    wait_until_sync(lambda: harness.states().get("b.jpg") == "done", harness.states)


def test_dashboard_port_in_use_keeps_daemon_running(harness):
    with socket.create_server(("127.0.0.1", 0)) as other:
        with_dashboard(harness, other.getsockname()[1])
        with pytest.raises(RequestRefusedError, match="stop the program that uses it") as refused:
            harness.client.dashboard()
    assert not re.search("[Uu]nknown", str(refused.value))
