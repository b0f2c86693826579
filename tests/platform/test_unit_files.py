"""The units in the source: their sandbox, what they have in common, and their command."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from syncd.config.document import read
from syncd.platform.systemd import unit_files

SOURCE = Path(__file__).parents[2] / "packaging" / "systemd"

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")


def settings(name: str) -> list[str]:
    return [line for line in unit_files.text(name).splitlines() if line and not line.startswith("#")]


@pytest.mark.e2e
@needs_analyze
@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_unit_exposure_is_low(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(SOURCE / name)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-200:] + ended.stderr


@pytest.mark.e2e
@needs_analyze
@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_systemd_accepts_unit(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(unit_files.unit(name, "/bin/true").replace("Documentation=", "#"))
    path = tmp_path / name.replace("@.", "@photos.")
    ended = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "Unknown" not in ended.stderr
    assert ended.returncode == 0, ended.stderr


@pytest.mark.e2e
@needs_analyze
def test_systemd_accepts_every_drop_in_example(tmp_path: Path) -> None:
    """Unknown keys are allowed only if the comment above them names a later systemd."""
    (tmp_path / "syncd.service").write_text(
        unit_files.unit("syncd.service", "/bin/true").replace("Documentation=", "#")
    )
    drop_in = tmp_path / "syncd.service.d" / "local.conf"
    drop_in.parent.mkdir()
    example = unit_files.text("local.conf.example")
    drop_in.write_text(re.sub(r"(?m)^#(?=[A-Z][A-Za-z]+=)", "", example))
    assert len(settings("local.conf.example")) == 2  # only the sections are active; all keys are commented out
    path = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    command = ["systemd-analyze", "verify", tmp_path / "syncd.service"]
    stderr = subprocess.run(command, env=path, capture_output=True, text=True, check=False).stderr
    unknown = set(re.findall(rf"{re.escape(str(drop_in))}:\d+: Unknown key '?(\w+)", stderr))
    assert unknown <= {"RestartSteps", "RestartMaxDelaySec"}, stderr


def test_instance_unit_differs_in_paths_only() -> None:
    named = [
        re.sub(r"(Directory=syncd)$", r"\1-%i", line)
        .replace("config.yaml", "%i.yaml")
        .replace("watched folders", "watched folders (%i)")
        for line in settings("syncd.service")
        if not line.startswith("Configuration")
    ]
    assert named == [line for line in settings("syncd@.service") if not line.startswith("Configuration")]


def test_user_unit_equals_system_unit_without_sandbox() -> None:
    own = set(settings("user/syncd.service")) - set(settings("syncd.service"))
    assert own == {
        "ExecStart=/usr/bin/syncd run",
        "ExecReload=/usr/bin/syncd ctl reload",
        "WantedBy=default.target",
    }


def test_unit_starts_given_program() -> None:
    lines = [line for line in unit_files.unit("syncd.service", "/opt/it/bin/syncd").splitlines() if "/bin/" in line]
    assert lines == [
        "ExecStart=/opt/it/bin/syncd run -c /etc/syncd/config.yaml",
        "ExecReload=/opt/it/bin/syncd ctl -c /etc/syncd/config.yaml reload",
    ]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/opt/syncd/bin/syncd", "/opt/syncd/bin/syncd"),
        ("/opt/100%/$x/syncd", '"/opt/100%%/$$x/syncd"'),
        ('/opt/my "own"/syncd', '"/opt/my \\"own\\"/syncd"'),
    ],
)
def test_quoted_path_is_one_word(path: str, word: str) -> None:
    assert unit_files.quoted(path) == word


def test_packaged_config_matches_spool_and_group(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text(unit_files.text("config.yaml"))
    document = read(tmp_path / "config.yaml")
    assert document.data["control"] == {"group": "syncd"}
    made = {line.split()[1] for line in settings("tmpfiles.conf")}
    assert {folder["path"] for folder in document.data["folders"]} < made


def test_wheel_contains_all_unit_files() -> None:
    packed = set(re.findall(r'"packaging/systemd/([^"]+)" =', (SOURCE.parents[1] / "pyproject.toml").read_text()))
    here = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file()}
    assert packed == here - {"README.md"}
