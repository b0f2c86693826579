"""Real processes with marked secrets disclose none of them.

The tests search outputs, logs, command lines, environments and stored files. The server and the proxy are the worst
case: each response repeats the complete request, with each error status in turn.
"""

import base64
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote_to_bytes

import pytest

from tests.support.data import POOL
from tests.support.processes import DaemonProcess
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

MARK = "m4rk"
TOKEN_IN_FILE = f"{MARK}-token-in-file/+=%41"
TOKEN_IN_CONFIG = f"{MARK}-token-in-config"
HEADER = f'{MARK}-header "quoted" \\ value'
PROXY_PASSWORD = f"{MARK}-proxy:pass/word"
ENCRYPT_PASSWORD = f'{MARK} encrypt "گل" \\ password'
WORDS = [TOKEN_IN_FILE, TOKEN_IN_CONFIG, HEADER, PROXY_PASSWORD, ENCRYPT_PASSWORD]


def forms(secret):
    """Yield the encodings in which a secret can appear."""
    yield from {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1]}
    yield from {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    for before in ("", ":", "user:"):
        yield base64.b64encode(f"{before}{secret}".encode()).decode().rstrip("=")


FORMS = sorted({form for secret in WORDS for form in forms(secret)} | {MARK}, key=len, reverse=True)


UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f]")


def found_in(raw):
    """Return the first text that contains a secret, or None.

    The text is a complete line, or a complete value of an SQLite file.
    """
    for shown in (raw, unquote_to_bytes(raw)):
        for form in FORMS:
            at = shown.find(form.encode())
            if at >= 0:
                before, after = UNPRINTABLE.split(shown[:at])[-1], UNPRINTABLE.split(shown[at:], maxsplit=1)[0]
                return f"{form!r} at byte {at} in {before[-4000:] + after[:4000]!r}"
    return None


@pytest.mark.parametrize("secret", [TOKEN_IN_FILE, "".join(f"%{byte:02x}" for byte in TOKEN_IN_FILE.encode())])
def test_found_in_returns_complete_value(secret):
    before, after = "127.0.0.1:1 answered 500 to GET /" + "x" * 300, ": " + "y" * 300
    found = found_in(f"\0other\0{before}{secret}{after}\0other\n".encode())
    assert before in found
    assert after in found
    assert "other" not in found
    assert found_in(b"\0other\n") is None


class Echo(BaseHTTPRequestHandler):
    """Responds with the request itself, with each status in turn."""

    protocol_version = "HTTP/1.1"
    statuses = (500, 403, 400, 302, 200, 404, 413, 429, 201, 502, 409, 301, 202, 503, 422)

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        sent = f"{self.requestline} {dict(self.headers)} {self.rfile.read(length).decode(errors='replace')}"
        with self.server.lock:
            status = next(self.server.turn)
            self.server.count += 1
        shape = self.server.count % 4
        if shape == 0:
            kind, body = "text/html", f"<html><title>{sent}</title>{sent}</html>"
        elif shape == 1:
            kind, body = "application/json", json.dumps({"error": {"message": sent}, "code": sent})
        elif shape == 2:
            kind, body = "application/json", json.dumps({"title": "x", "errors": {sent: [sent]}}, ensure_ascii=False)
        else:
            kind, body = "text/plain", sent
        raw = body.encode()
        self.send_response(status, "Word")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        if status in (301, 302):
            echoed = "/".join(quote(value, safe="") for value in self.headers.values())
            location = f"http://elsewhere.test:1/{echoed}" if status == 302 else f"/{echoed}?{echoed}"
            self.send_header("Location", location)
        if status in (429, 503):
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_CONNECT = do_GET  # noqa: N815 - the names that the library calls

    def log_message(self, *_):
        pass


@pytest.fixture
def echo():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.lock, server.turn, server.count = threading.Lock(), itertools.cycle(Echo.statuses), 0
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def daemon(tmp_path, echo):
    url = f"http://127.0.0.1:{echo.server_port}"
    (tmp_path / "token").write_text(f"{TOKEN_IN_FILE}\n")
    (tmp_path / "token").chmod(0o600)
    made = DaemonProcess(tmp_path, url, retry={"initial": "10ms", "max": "30ms"})
    made.preload = False  # its command line and environment are read
    headers = {"X-Secret": HEADER}
    proxied = {"proxy": f"http://user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{echo.server_port}"}
    drive = {"type": "multipart", "pool_id": POOL, "headers": headers, "encrypt_password": "${DRIVE_PASSWORD}"}
    made.settings["folders"] = [
        {"path": "inbox", "remote": ["drive", "ascii", "proxied", "tunnelled"], "settle": "50ms"}
    ]
    made.settings["remotes"] = {
        "drive": {**drive, "url": url, "token_file": "token"},
        "ascii": {"type": "image", "url": url, "token": TOKEN_IN_CONFIG, "headers": headers},
        "proxied": {**drive, "url": "http://elsewhere.test", "token": TOKEN_IN_CONFIG, **proxied, "direct": "never"},
        "tunnelled": {"type": "image", "url": "https://elsewhere.test", "token_file": "token", **proxied},
    }
    made.settings["logging"] = {
        "level": "debug",
        "format": "json",
        "file": {"path": "logs/syncd.log", "max_size": "64KiB"},
    }
    yield made
    made.kill()


class Search:
    """Collects the output of the processes and the files that they wrote."""

    def __init__(self, folder):
        self.folder = folder
        self.results = []
        self.leaks = {}

    def note(self, where, raw):
        if seen := found_in(raw):
            self.leaks[where] = seen

    def command(self, *arguments, codes, env=None):
        ended = subprocess.run(
            [sys.executable, "-m", "syncd", *map(str, arguments)],
            check=False,
            capture_output=True,
            env={**os.environ, "DRIVE_PASSWORD": ENCRYPT_PASSWORD, **(env or {})},
            timeout=60,
        )
        assert ended.returncode in codes, (arguments, ended)
        self.note(f"output of {arguments}", ended.stdout + ended.stderr)
        self.results.append(ended)
        return ended

    def processes(self, own):
        """Search the command lines and environments of all processes.

        ``own`` are the daemon's processes: their environment has the secrets by design and is not searched.
        """
        for number in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                self.note(f"command line of {number}", pathlib.Path(f"/proc/{number}/cmdline").read_bytes())
                if int(number) not in own:
                    self.note(f"environment of {number}", pathlib.Path(f"/proc/{number}/environ").read_bytes())

    def files(self, *roots):
        count = 0
        for root in roots:
            for path in filter(pathlib.Path.is_file, [root, *root.rglob("*")]):
                count += 1
                self.note(str(path.relative_to(self.folder)), os.fsencode(path) + path.read_bytes())
        return count


def test_secrets_appear_in_no_output_or_file(tmp_path, daemon, echo):
    search = Search(tmp_path)
    for number in range(6):
        (daemon.inbox / f"{number}.jpg").write_bytes(os.urandom(2000))
        (daemon.inbox / f"{number}.txt").write_bytes(b"ascii %d" % number * 300)
    daemon.write_settings()
    daemon.config.chmod(0o644)  # the daemon warns of these permissions

    search.command("check", "-c", daemon.config, codes={1})
    search.command("check", "--json", "-c", daemon.config, codes={1})
    search.command("once", "-c", daemon.config, codes={1})
    daemon.spawn("--debug", "run", "-c", daemon.config, env={"DRIVE_PASSWORD": ENCRYPT_PASSWORD})
    wait_until_sync(daemon.is_ready, "it is up")
    for number in range(4):
        (daemon.inbox / f"new {number}.jpg").write_bytes(os.urandom(3000))
    before = echo.count
    wait_until_sync(lambda: echo.count > before + 60, "much has been answered")
    search.processes(own={daemon.child.pid})
    for arguments in (["status"], ["status", "--json"], ["jobs", "--limit", "200"], ["jobs", "--json"]):
        search.command("ctl", "-c", daemon.config, *arguments, codes={0})
    search.command("ctl", "-c", daemon.config, "show", "--json", daemon.inbox / "1.jpg", codes={0})
    search.note("a job", json.dumps(daemon.jobs(), ensure_ascii=False).encode())
    assert any(job["detail"] and "***" in job["detail"] for job in daemon.jobs()), "nothing was masked"
    search.note("a status", json.dumps(daemon.client.status()).encode())

    daemon.settings["remotes"]["drive"]["tokken"] = TOKEN_IN_FILE
    daemon.write_settings()
    assert b"tokken" in search.command("ctl", "-c", daemon.config, "reload", codes={1, 78}).stderr
    search.files(daemon.state)  # while the daemon runs: with the write-ahead log
    assert daemon.terminate() == 0
    assert search.files(daemon.state, daemon.log, tmp_path / "logs") >= 4
    events = {event["event"] for event in daemon.events()}
    assert {"job.failed", "job.waiting", "daemon.reload_refused"} <= events
    assert not search.leaks, search.leaks


BROKEN = {
    "a mapping": {"token": {"a": TOKEN_IN_CONFIG}},
    "a list": {"token": [TOKEN_IN_CONFIG]},
    "two tokens": {"token": TOKEN_IN_CONFIG, "token_file": "token"},
    "a line break": {"token": f"{TOKEN_IN_CONFIG}\nX: y"},
    "not ASCII": {"token": f"{TOKEN_IN_CONFIG}گل"},
    "a bad header": {"headers": {"X": f"{TOKEN_IN_CONFIG}\r\n"}},
    "headers as text": {"headers": TOKEN_IN_CONFIG},
    "a bad proxy": {"proxy": f"http://user:{TOKEN_IN_CONFIG}@:x"},
    "a proxy of another kind": {"proxy": f"socks5://user:{TOKEN_IN_CONFIG}@127.0.0.1:1"},
    "a password in the url": {"url": f"http://user:{TOKEN_IN_CONFIG}@127.0.0.1"},
    "a password as mapping": {"encrypt_password": {"a": TOKEN_IN_CONFIG}},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_secrets_invalid_configuration_quotes_none(tmp_path, monkeypatch, syncd, daemon, broken):
    daemon.settings["remotes"] = {"drive": {**daemon.settings["remotes"]["drive"], **BROKEN[broken]}}
    if "token" in BROKEN[broken] and broken != "two tokens":
        del daemon.settings["remotes"]["drive"]["token_file"]
    daemon.settings["folders"][0]["remote"] = "drive"
    daemon.write_settings()
    search = Search(tmp_path)
    monkeypatch.setenv("SYNCD_DEBUG", "1")
    monkeypatch.setenv("DRIVE_PASSWORD", ENCRYPT_PASSWORD)
    ended = syncd("once", "-c", daemon.config)
    assert ended.code == 78
    assert ended.err
    search.note("output", (ended.out + ended.err).encode())
    assert not search.leaks, search.leaks


def test_secrets_traceback_contains_none(tmp_path, daemon):
    """With --debug, an unexpected error whose message contains the token is logged in full."""
    daemon.settings["remotes"] = {"drive": daemon.settings["remotes"]["drive"]}
    daemon.settings["folders"][0]["remote"] = "drive"
    daemon.write_settings()
    (daemon.inbox / "a.jpg").write_bytes(b"content")
    script = tmp_path / "crash.py"
    script.write_text(
        """
import sys
from syncd.remotes.multipart.client import MultipartRemote
from syncd.cli import main

async def begin(self, *_, **__):
    held = [self._settings, self._http.__dict__]
    raise RuntimeError(f"{held} {self._settings.token.get_secret_value()}")

MultipartRemote.begin = MultipartRemote.send = begin
main()
"""
    )
    ended = subprocess.run(
        [sys.executable, script, "--debug", "once", "-c", daemon.config],
        check=False,
        capture_output=True,
        env={**os.environ, "DRIVE_PASSWORD": ENCRYPT_PASSWORD, "PYTHONPATH": os.getcwd()},
        timeout=60,
    )
    assert ended.returncode == 1
    assert b"job.crashed" in ended.stderr
    assert b"Traceback" in ended.stderr
    search = Search(tmp_path)
    search.note("output", ended.stdout + ended.stderr)
    search.files(daemon.state, tmp_path / "logs")
    assert not search.leaks, search.leaks
