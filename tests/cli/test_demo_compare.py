"""``demo.compare``: reports each kind of difference between a file and its copy."""

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from syncd.cli.demo import compare as module
from tests.control.fake import job

CONTENT = b"\xff\xd8" + bytes(range(256)) * 5000
TEXT = base64.urlsafe_b64encode(CONTENT)
KEY = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def copies():
    """The receiver's copies by path; a test changes them."""
    return {"/api/files/f-1": CONTENT, f"/image/{KEY}": TEXT}


@pytest.fixture
def url(copies):
    class Receiver(BaseHTTPRequestHandler):
        def do_GET(self):
            body = copies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def compare(tmp_path, url):
    path = str(tmp_path / "a سلام.jpg")
    with open(path, "wb") as file:
        file.write(CONTENT)

    complete = [
        job(1, path, state="done", remote="drive", ref="f-1"),
        job(2, path, state="done", remote="ascii", ref=f"{KEY}:base64url"),
    ]

    class Client:
        def __init__(self, jobs):
            self.show = lambda _path: jobs

    def run(*changes):
        jobs = [{**one, **changed} for one, changed in zip(complete, changes or ({}, {}), strict=True)]
        return [problem.removeprefix(f"{path} to ") for problem in module.compare(Client(jobs), url, [path])]

    return run


def test_compare_equal_copies_reports_nothing(compare):
    assert compare() == []


def test_compare_text_encoding_compares_unchanged(compare, copies):
    digest = hashlib.sha256(CONTENT).hexdigest()
    copies[f"/image/{digest}"] = CONTENT
    assert compare({}, {"ref": f"{digest}:text"}) == []


@pytest.mark.parametrize("damage", [lambda body: body[:-4], lambda body: body[:9] + b"AAAA" + body[13:], lambda _: b""])
def test_compare_different_copies_are_reported(compare, copies, damage):
    for path, body in copies.items():
        copies[path] = damage(body)
    assert compare() == ["drive: the copy differs", "ascii: the copy differs"]


def test_compare_missing_copies_are_reported(compare, copies):
    copies.clear()
    problems = compare()
    assert ["status 404" in problem for problem in problems] == [True, True]


def test_compare_invalid_base64_is_reported(compare, copies):
    copies[f"/image/{KEY}"] = b"AAA"
    (problem,) = compare()
    assert problem.startswith("ascii: cannot read the copy: ")


def test_compare_unfinished_jobs_are_reported(compare):
    assert compare({"state": "failed", "detail": "too large"}, {"remote": "other"}) == [
        "drive: failed, too large",
        "ascii: the daemon has no job for it",
    ]
