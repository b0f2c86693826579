"""The container image's directives and its promise.

A daemon runs with any user id and a read-only root.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support.config import multipart_remote
from tests.support.processes import ReceiverProcess
from tests.support.wait import wait_until_sync

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "packaging" / "container" / "Containerfile").read_text(encoding="utf-8")
DIRECTIVES = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"(?m)^#.*\n", "", TEXT).replace("\\\n", "").splitlines()
    if line.strip()
]
FOLDERS = ("/var/lib/syncd", "/run/syncd")
UID = 54_321


def of(name: str) -> list[str]:
    return [" ".join(text.split()) for directive, text in DIRECTIVES if directive == name]


def variables() -> dict[str, str]:
    (text,) = of("ENV")
    return dict(pair.split("=", 1) for pair in text.split())


def test_base_names_an_exact_release() -> None:
    base = of("ARG")[0].partition("=")[2]
    assert re.fullmatch(r"[\w./-]+:3\.\d+\.\d+-slim-[a-z]+|[\w./-]+@sha256:[0-9a-f]{64}", base)
    assert of("FROM") == ["${BASE}"]


def test_labels_agree_with_the_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', of("LABEL")[0]))
    assert (labels["title"], labels["licenses"]) == (project["name"], project["license"])
    assert labels["vendor"] == project["authors"][0]["name"]
    urls = project["urls"]
    assert (labels["url"], labels["documentation"], labels["source"]) == (
        urls["Homepage"],
        urls["Documentation"],
        urls["Source"],
    )


def test_user_is_a_number_and_folders_are_volumes() -> None:
    """A number, so that a cluster can see that it is not root."""
    assert of("USER") == ["1000:0"]
    assert json.loads(of("VOLUME")[0]) == list(FOLDERS)
    assert f" {' '.join(FOLDERS)} " in of("RUN")[0]


@pytest.mark.e2e
@pytest.mark.parametrize(("code", "healthy"), [(0, True), (1, True), (2, False), (3, False), (127, False)])
def test_health_check_fails_for_critical_states_only(tmp_path: Path, code: int, healthy: bool) -> None:
    command = of("HEALTHCHECK")[0].partition("CMD ")[2]
    assert command.startswith("syncd ctl status --check;")
    (tmp_path / "syncd").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "syncd").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = subprocess.run(["sh", "-c", command], env={**os.environ, "PATH": path}, check=False)
    assert (ended.returncode == 0) == healthy


@pytest.fixture
def sandbox(tmp_path: Path):
    """Return a command line that runs a program as in the container.

    The program has any user id, group 0, and a read-only root.
    """
    if not shutil.which("bwrap") or os.geteuid() != 0:
        pytest.skip("needs bubblewrap and root")
    (tmp_path / "etc").mkdir()
    mode = int(re.search(r"install -d -o syncd -g 0 -m (0[0-7]+) ", of("RUN")[0])[1], 8)
    writable = []
    for index, folder in enumerate(FOLDERS):
        source = tmp_path / f"volume-{index}"
        source.mkdir()
        source.chmod(mode)
        writable += ["--bind", source, folder]
    places = {sys.base_prefix: "/srv/python", sysconfig.get_path("purelib"): "/srv/site", ROOT: "/srv/source"}
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    mounts = [
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *(word for folder in ("/srv", "/etc", "/run", "/var/lib", "/var/spool") for word in ("--tmpfs", folder)),
        *(word for source, target in places.items() for word in ("--ro-bind", source, target)),
        *writable,
        *("--ro-bind", tmp_path / "etc", "/etc/syncd", "--ro-bind", inbox, "/var/spool/syncd"),
        *(word for folder in ("/srv", "/etc", "/run", "/var/lib", "/var/spool") for word in ("--remount-ro", folder)),
    ]
    environment = {**variables(), "PATH": "/usr/bin:/bin", "PYTHONPATH": "/srv/source:/srv/site"}
    environment["LD_LIBRARY_PATH"] = "/srv/python/lib"  # the interpreter may name a folder of root only
    python = f"/srv/python/bin/python3.{sys.version_info[1]}"
    become = ["setpriv", f"--reuid={UID}", "--regid=0", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
    settings = [word for name, value in environment.items() for word in ("--setenv", name, value)]
    command = [
        "bwrap", "--cap-add", "ALL", "--clearenv", *settings, *mounts, "--chdir", "/", "--", *become, python,
        "-B", "-m", "syncd",
    ]  # fmt: skip
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("bubblewrap is not allowed here")
    return command


@pytest.mark.e2e
def test_daemon_runs_read_only_as_any_user(sandbox, tmp_path: Path) -> None:
    with ReceiverProcess(tmp_path / "server") as receiver:
        config = {
            "folders": [{"path": "/var/spool/syncd", "remote": "drive"}],
            "remotes": {"drive": multipart_remote(receiver.url)},
            "control": {"dashboard": "off"},
        }
        (tmp_path / "etc/config.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / "inbox/a.jpg").write_bytes(b"content")
        (tmp_path / "inbox/a.jpg").chmod(0o644)
        with (tmp_path / "log").open("wb") as log:
            daemon = subprocess.Popen([*sandbox, "run"], stderr=log, process_group=0)

        def status() -> str:
            assert daemon.poll() is None, (tmp_path / "log").read_text()
            return subprocess.run([*sandbox, "ctl", "status"], capture_output=True, text=True, check=False).stdout

        try:
            wait_until_sync(lambda: "1 done" in status(), (tmp_path / "log").read_text, 60)
            check = subprocess.run([*sandbox, "ctl", "status", "--check"], capture_output=True, text=True, check=False)
            assert check.returncode == 0, check.stdout + check.stderr
        finally:
            daemon.poll() is None and os.killpg(daemon.pid, signal.SIGTERM)
            daemon.wait(30)
    (store,) = (tmp_path / "volume-0").glob("syncd.db")
    assert (store.stat().st_uid, store.stat().st_gid) == (UID, 0)
