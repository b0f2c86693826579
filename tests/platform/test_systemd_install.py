"""The steps of an installation, with real files below a test root and a fake systemctl."""

import subprocess
from pathlib import Path

import pytest

from syncd.platform.systemd import install as installation
from syncd.platform.systemd import unit_files
from syncd.platform.systemd.install import CommandFailedError, Manager


class Machine:
    """Replaces systemctl and related tools; records their calls and the state of units."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.fails: str | None = None

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        words = [word for word in command if word not in ("systemctl", "--user", "--quiet")]
        match words:
            case ["is-enabled", unit]:
                code, out = int(unit not in self.enabled), ""
            case ["is-active", unit]:
                code, out = int(unit not in self.active), ""
            case ["show", unit, *_]:
                state = "active" if unit in self.active else "inactive"
                code, out = 0, f"NeedDaemonReload=no\nActiveState={state}\nLoadState=not-found\n"
            case _ if self.fails and self.fails in command:
                return subprocess.CompletedProcess(command, 1, "", "Failed to do it:\n  for a reason\n")
            case _:
                self.commands.append(" ".join(words))
                code, out = 0, ""
        for verb, names, add in (
            ("enable", self.enabled, True),
            ("disable", self.enabled, False),
            ("start", self.active, True),
            ("stop", self.active, False),
        ):
            if words[0] == verb:
                (names.add if add else names.discard)(words[1])
        return subprocess.CompletedProcess(command, code, out, "")


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def _has_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.user, "exists", lambda _name: True)


def manager(machine: Machine) -> Manager:
    return Manager(user=False, run=machine.run)


def install(root: Path, machine: Machine, *, now: bool = True) -> list[str]:
    (root / "var/spool/syncd").mkdir(parents=True, exist_ok=True)  # systemd-tmpfiles creates these folders
    (root / "etc/syncd").mkdir(parents=True, exist_ok=True)
    steps = installation.install(unit_files.for_system(root), manager(machine), program="/opt/s", now=now, root=root)
    return take(steps)


def take(steps) -> list[str]:
    taken = []
    for step in steps:
        if step.due():
            step.act()
            taken.append(f"{step.what}: {step.done}")
    return taken


@pytest.mark.usefixtures("_has_user")
def test_install_twice_changes_nothing(tmp_path: Path, machine: Machine) -> None:
    done = install(tmp_path, machine)
    unit = (tmp_path / "etc/systemd/system/syncd.service").read_text()
    assert "ExecStart=/opt/s run -c /etc/syncd/config.yaml\n" in unit
    assert (tmp_path / "etc/syncd/config.yaml").stat().st_mode & 0o777 == 0o640
    assert machine.commands == ["enable syncd.service", "start syncd.service"]
    assert len(done) == 7
    assert install(tmp_path, machine) == []
    assert machine.commands == ["enable syncd.service", "start syncd.service"]


@pytest.mark.usefixtures("_has_user")
def test_install_updates_unit_but_not_configuration(tmp_path: Path, machine: Machine) -> None:
    install(tmp_path, machine)
    for name in "systemd/system/syncd.service", "syncd/config.yaml":
        (tmp_path / "etc" / name).write_text("mine")
    assert install(tmp_path, machine) == [f"{tmp_path}/etc/systemd/system/syncd.service: written"]
    assert (tmp_path / "etc/syncd/config.yaml").read_text() == "mine"


def test_install_creates_user_and_folders(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.user, "exists", lambda _name: False)
    (tmp_path / "etc/syncd").mkdir(parents=True)
    steps = installation.install(
        unit_files.for_system(tmp_path), manager(machine), program="/opt/s", now=False, root=tmp_path
    )
    take(steps)
    assert machine.commands[:2] == [
        f"systemd-sysusers {tmp_path}/etc/sysusers.d/syncd.conf",
        f"systemd-tmpfiles --create {tmp_path}/etc/tmpfiles.d/syncd.conf",
    ]


def test_install_keeps_units_of_package(tmp_path: Path, machine: Machine) -> None:
    packaged = tmp_path / "usr/lib/systemd/system/syncd.service"
    packaged.parent.mkdir(parents=True)
    packaged.write_text("of the package")
    assert install(tmp_path, machine) == ["syncd.service: enabled", "syncd.service: started"]
    assert not (tmp_path / "etc/systemd").exists()


@pytest.mark.usefixtures("_has_user")
def test_uninstall_keeps_state_until_purge(tmp_path: Path, machine: Machine) -> None:
    install(tmp_path, machine)
    (tmp_path / "etc/syncd/photos.yaml").write_text("")
    machine.active.add("syncd@photos.service")
    kept = [tmp_path / "var/lib/syncd", tmp_path / "var/lib/syncd-photos", tmp_path / "var/log/syncd"]
    for folder in kept:
        folder.mkdir(parents=True)
    places = unit_files.for_system(tmp_path)
    take(installation.uninstall(places, manager(machine), purge=False, root=tmp_path))
    assert (machine.enabled, machine.active) == (set(), set())
    assert not any(path.exists() for path in places.files)
    assert all(folder.is_dir() for folder in [*kept, tmp_path / "etc/syncd"])
    assert take(installation.uninstall(places, manager(machine), purge=False, root=tmp_path)) == []
    (tmp_path / "var/spool/syncd/cat.jpg").write_bytes(b"dropped")
    take(installation.uninstall(unit_files.for_system(tmp_path), manager(machine), purge=True, root=tmp_path))
    assert not any(folder.exists() for folder in [*kept, tmp_path / "etc/syncd"])
    assert (tmp_path / "var/spool/syncd/cat.jpg").exists()
    assert machine.commands[-1] == "userdel syncd"


def test_failed_command_is_reported_on_one_line(tmp_path: Path, machine: Machine) -> None:
    machine.fails = "enable"
    places = unit_files.for_user(config=tmp_path / "config/syncd/config.yaml", state=tmp_path / "state", root=tmp_path)
    steps = installation.install(places, Manager(user=True, run=machine.run), program="/opt/s", now=True)
    with pytest.raises(CommandFailedError, match=r"systemctl --user enable .*: Failed to do it: for a reason$"):
        take(steps)
    assert (tmp_path / "config/systemd/user/syncd.service").exists()


@pytest.mark.e2e
def test_missing_command_has_failed() -> None:
    with pytest.raises(CommandFailedError, match="no-such-tool: is not installed"):
        Manager(user=False, run=installation.run).call("no-such-tool")
