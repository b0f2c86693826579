"""The comparison itself: it must see a copy that differs, in every way in which one can."""

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from syncd.cli.demo import arrivals
from tests.control.fake import job

CONTENT = b"\xff\xd8" + bytes(range(256)) * 5000
TEXT = base64.urlsafe_b64encode(CONTENT)
KEY = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def copies():
    """What a receiver has, by path: change it to spoil a copy."""
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

    whole = [
        job(1, path, state="done", remote="drive", ref="f-1"),
        job(2, path, state="done", remote="ascii", ref=f"{KEY}:base64url"),
    ]

    class Client:
        def __init__(self, jobs):
            self.show = lambda _path: jobs

    def run(*changes):
        jobs = [{**one, **changed} for one, changed in zip(whole, changes or ({}, {}), strict=True)]
        return [problem.removeprefix(f"{path} to ") for problem in arrivals.compare(Client(jobs), url, [path])]

    return run


def test_whole_copies(compare):
    assert compare() == []


def test_a_text_is_compared_as_it_is(compare, copies):
    digest = hashlib.sha256(CONTENT).hexdigest()
    copies[f"/image/{digest}"] = CONTENT
    assert compare({}, {"ref": f"{digest}:text"}) == []


@pytest.mark.parametrize("spoil", [lambda body: body[:-4], lambda body: body[:9] + b"AAAA" + body[13:], lambda _: b""])
def test_copies_that_differ(compare, copies, spoil):
    for path, body in copies.items():
        copies[path] = spoil(body)
    assert compare() == ["drive: the copy differs", "ascii: the copy differs"]


def test_copies_that_are_not_there(compare, copies):
    copies.clear()
    problems = compare()
    assert ["status 404" in problem for problem in problems] == [True, True]


def test_a_copy_that_is_no_base64(compare, copies):
    copies[f"/image/{KEY}"] = b"AAA"
    (problem,) = compare()
    assert problem.startswith("ascii: cannot read the copy: ")


def test_jobs_that_are_not_done(compare):
    assert compare({"state": "failed", "detail": "too large"}, {"remote": "other"}) == [
        "drive: failed, too large",
        "ascii: it has no job",
    ]
