"""The daemon and the receiver as real processes of Windows: what is dropped arrives, and the pipe answers."""

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32con
import win32file
import win32security

from syncd.config import light
from syncd.control.client import ControlClient, NotRunning
from syncd.control.steering import JobQuery
from syncd.host.plainly import below
from tests.e2e.processes import POOL, until

CONFIG = """\
folders:
  - {{path: '{inbox}', remote: drive, settle: 200ms}}
remotes:
  drive: {{type: multipart, url: '{url}', pool_id: {pool}}}
scheduler: {{retry: {{max: 1s}}}}
state_dir: '{state}'
"""


def syncd(log, *arguments):
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "syncd", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


class Site:
    """A folder that is watched, a receiver, and a configuration that joins them."""

    def __init__(self, base: Path, url: str) -> None:
        self.base, self.inbox, self.received = base, base / "inbox", base / "received"
        self.inbox.mkdir()
        self.config = base / "config.yaml"
        self.config.write_text(CONFIG.format(inbox=self.inbox, url=url, pool=POOL, state=base / "state"))
        self.client = ControlClient(self.pipe())
        self.daemon = None

    def pipe(self):
        return light.control_socket(self.config)

    def start(self):
        self.daemon = syncd(self.base / "log", "run", "-c", self.config)
        until(self.answers, "the daemon answers")

    def answers(self):
        assert self.daemon.poll() is None, (self.base / "log").read_text()
        try:
            return self.client.status()
        except NotRunning:
            return None

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.client.shutdown()
            assert self.daemon.wait(30) == 0
        if self.daemon:
            self.daemon.stdout.close()

    def states(self):
        return {Path(job["path"]).name: job["state"] for job in self.client.jobs(JobQuery(limit=1000))["jobs"]}

    def arrived(self, *names):
        until(lambda: all(self.states().get(name) == "done" for name in names), lambda: f"{names}: {self.states()}", 60)
        kept = [path.read_bytes() for path in self.received.rglob("data")]
        return all(Path(below(str(self.inbox), name)).read_bytes() in kept for name in names)

    def ctl(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "syncd", "ctl", "-c", str(self.config), *words],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def site(tmp_path):
    receiver = syncd(tmp_path / "receiver", "serve", "--dir", tmp_path / "received", "--port", "0")
    url = receiver.stdout.readline().split()
    assert url, (tmp_path / "receiver").read_text()
    made = Site(tmp_path, url[0])
    try:
        yield made
    finally:
        made.stop()
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()


def test_what_is_dropped_arrives_and_the_shell_can_ask(site):
    site.start()
    (site.inbox / "new").mkdir()
    (site.inbox / "one.jpg").write_bytes(b"one" * 1000)
    (site.inbox / "large.jpg").write_bytes(bytes(range(256)) * 20_000)
    assert site.arrived("one.jpg", "large.jpg")
    told = site.ctl("status")
    assert told.returncode == 0
    assert "2 done" in told.stdout, told.stdout


def test_names_that_mean_devices_and_those_in_another_script(site):
    site.start()
    names = ("aux.jpg", "NUL.png", "Ж猫.jpg")
    for number, name in enumerate(names):
        Path(below(str(site.inbox), name)).write_bytes(b"content %d" % number)
    assert site.arrived(*names)


def test_a_file_that_its_writer_keeps_for_himself_is_waited_for(site):
    site.start()
    full = str(site.inbox / "busy.jpg")
    handle = win32file.CreateFile(full, win32con.GENERIC_WRITE, 0, None, win32con.CREATE_NEW, 0, None)
    win32file.WriteFile(handle, b"content")
    until(lambda: site.states().get("busy.jpg") == "waiting", site.states)
    handle.Close()
    assert site.arrived("busy.jpg")


def test_only_the_user_administrators_and_the_system_may_open_the_pipe(site):
    site.start()
    handle = win32file.CreateFile(
        str(site.pipe()), win32con.GENERIC_READ | win32con.READ_CONTROL, 0, None, win32con.OPEN_EXISTING, 0, None
    )
    owners = win32security.GetSecurityInfo(
        handle, win32security.SE_KERNEL_OBJECT, win32security.DACL_SECURITY_INFORMATION
    ).GetSecurityDescriptorDacl()
    who = {win32security.ConvertSidToStringSid(owners.GetAce(at)[2]) for at in range(owners.GetAceCount())}
    handle.Close()
    me, _ = win32security.GetTokenInformation(
        win32security.OpenProcessToken(-1, win32con.TOKEN_QUERY), win32security.TokenUser
    )
    assert who == {"S-1-5-18", "S-1-5-32-544", win32security.ConvertSidToStringSid(me)}


def test_a_second_daemon_is_told_who_holds_the_folder(site):
    site.start()
    log = site.base / "second"
    with syncd(log, "run", "-c", site.config) as second:
        assert second.wait(60) == 75
    assert f"another syncd (pid {site.daemon.pid})" in log.read_text()


def test_after_a_kill_it_goes_on(site):
    site.start()
    site.daemon.kill()
    site.daemon.wait()
    site.daemon.stdout.close()
    (site.inbox / "meanwhile.jpg").write_bytes(b"meanwhile")
    site.start()
    assert site.arrived("meanwhile.jpg")
