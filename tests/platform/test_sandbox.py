"""The sandbox of a unit: which paths its service can read and change."""

from pathlib import Path

import pytest

from syncd.platform.systemd import sandbox, unit_files
from syncd.platform.systemd.install import subprocess
from syncd.platform.systemd.sandbox import PACKAGED, Sandbox

PHOTOS = Path("/etc/syncd/photos.yaml")


def test_packaged_settings_equal_those_of_units() -> None:
    for name in "syncd.service", "syncd@.service":
        lines = unit_files.text(name).splitlines()
        assert all(f"{key}={value}" in lines for key, value in PACKAGED.items())


@pytest.mark.parametrize(
    ("path", "settings", "advice"),
    [
        ("/home/anna/Pictures", {}, "ProtectHome=read-only"),
        ("/homes", {}, None),
        ("/srv/photos", {}, None),
        ("/home/anna/Pictures", {"ProtectHome": "read-only"}, None),
        ("/home/anna/Pictures", {"ProtectHome": "tmpfs"}, "ProtectHome=read-only"),
        ("/home/anna/Pictures", {"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/home/anna"}, None),
        ("/home/anna", {"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/home/anna/Pictures"}, "ProtectHome"),
        ("/home/anna/in", {"BindPaths": "-/data:/home/anna/in:rbind"}, None),
        ("/var/tmp/in", {}, "outside /tmp and /var/tmp"),
        ("/tmp/in", {"PrivateTmp": "no"}, None),
    ],
)
def test_hides_returns_advice_for_invisible_path(path: str, settings: dict[str, str], advice: str | None) -> None:
    found = Sandbox(unit="syncd", settings=PACKAGED | settings).hides(path)
    assert (found is None) == (advice is None)
    assert advice is None or advice in str(found)


@pytest.mark.parametrize(
    ("settings", "writes"),
    [
        ({}, False),
        ({"ReadWritePaths": "-/var/spool/syncd /srv"}, True),
        ({"ReadWritePaths": "+/srv/photos"}, True),
        ({"ReadWritePaths": "/srv/photos/inner"}, False),
        ({"BindPaths": "/data:/srv/photos:rbind"}, True),
        ({"ProtectSystem": "full"}, True),
    ],
)
def test_writes_respects_sandbox(settings: dict[str, str], writes: bool) -> None:
    assert Sandbox(unit="syncd", settings=PACKAGED | settings).writes("/srv/photos") is writes


@pytest.mark.parametrize(
    ("out", "home"), [("LoadState=loaded\nProtectHome=read-only\n", "read-only"), ("LoadState=not-found\n", "yes")]
)
def test_sandbox_of_reads_settings_from_systemd(monkeypatch: pytest.MonkeyPatch, out: str, home: str) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        assert command[:3] == ["systemctl", "show", "syncd@photos.service"]
        return subprocess.CompletedProcess(command, 0, out, "")

    monkeypatch.setattr(sandbox, "run", run)
    found = sandbox.sandbox_of(PHOTOS)
    assert (found.unit, found.settings["ProtectHome"]) == ("syncd@photos", home)
    assert sandbox.unit_of(Path("/etc/syncd/config.yaml")) == "syncd"
