"""`restore`, `verify` and `init` on Windows."""

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

from syncd.platform.files import to_long_path
from syncd.recovery.restore import target_prefixes
from tests.windows.harness import Harness, running

DEEP = "/".join(letter * 60 for letter in "abcde") + "/deep.jpg"
FILES = {
    "one.jpg": b"\xff" * 100_000,
    "sub/NUL.png": b"no device",
    "sub/aux.jpg": b"none either",
    "sub/Ж猫.jpg": b"in another script",
    DEEP: b"more than 300 characters down",
}
TIME = 1_600_000_000_123_456_700


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with running(tmp_path_factory.mktemp("filled")) as harness:
        for name, data in FILES.items():
            os.utime(harness.put(name, data), ns=(TIME, TIME))
        done = harness.command("once")
        assert (done.returncode, done.stdout.split(";")[0]) == (0, f"{len(FILES)} uploaded"), done
        yield harness


def found(folder):
    """Return all files below a folder: name → content and time."""
    root = to_long_path(str(folder))
    paths = [os.path.join(at, name) for at, _, names in os.walk(root) for name in names]
    return {path[len(root) + 1 :]: (Path(path).read_bytes(), os.stat(path).st_mtime_ns) for path in paths}


def test_restore_recreates_content_names_and_times(filled, tmp_path):
    back = tmp_path / "new" / "back"
    done = filled.command("restore", "--to", back, "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["restored"] == len(FILES)
    assert found(back) == {name.replace("/", "\\"): (data, TIME) for name, data in FILES.items()}
    again = filled.command("restore", "--to", back)
    assert (again.returncode, again.stdout) == (0, f"{len(FILES)} already present\n")


def test_restore_of_one_file_overwrites_nothing(filled, tmp_path):
    back = tmp_path
    (back / "sub").mkdir(parents=True)
    (back / "sub" / "Ж猫.jpg").write_bytes(b"mine")
    named = str(filled.inbox / "sub").upper()  # the same name for Windows
    done = filled.command("restore", "--to", back, "--json", named)
    result = json.loads(done.stdout)
    assert (done.returncode, result["restored"], result["failed"]) == (1, 2, 1), done
    assert result["problems"][0]["detail"] == "another file is there, and it is left as it is"
    names = {name: data for name, (data, _) in found(back).items()}
    assert names == {"sub\\Ж猫.jpg": b"mine", "sub\\NUL.png": b"no device", "sub\\aux.jpg": b"none either"}


def test_restore_refuses_unsafe_recorded_names(filled, tmp_path):
    """Names from an attacker or another system; device names are possible and restored."""
    names = ["../evil.jpg", "..\\evil.jpg", "C:evil.jpg", "a.jpg:evil.jpg", "con./nul"]
    shutil.copytree(filled.base / "state", tmp_path / "state")
    with closing(sqlite3.connect(tmp_path / "state" / "syncd.db", isolation_level=None)) as store:
        for number, name in enumerate(names, 1):
            store.execute("UPDATE files SET path = ? WHERE id = ?", [name.encode(), number])
    other = Harness(tmp_path, filled.settings["remotes"]["drive"]["url"])
    other.folder["path"] = str(filled.inbox)
    done = other.command("restore", "--to", tmp_path / "nest" / "back", "--json")
    assert done.returncode == 1, done
    assert {problem["path"]: problem["detail"] for problem in json.loads(done.stdout)["problems"]} == {
        "../evil.jpg": "its recorded name would lead out of the folder",
        **dict.fromkeys(names[1:4], "its recorded name is not possible on Windows"),
    }
    assert list(found(tmp_path / "nest")) == ["back\\con.\\nul"]


def test_restore_separates_folders_that_differ_in_case():
    folders = [SimpleNamespace(path=path) for path in ("C:\\photos", "D:\\Photos", "E:\\")]
    names = target_prefixes(SimpleNamespace(folders=folders))
    assert names == {"C:\\photos": "photos/", "D:\\Photos": "Photos-2/", "E:\\": "root/"}


def test_second_restore_into_folder_is_refused(filled, tmp_path):
    with open(tmp_path / ".syncd-in-use.part", "wb"):
        done = filled.command("restore", "--to", tmp_path)
    assert (done.returncode, done.stderr.count("another syncd restores into this folder")) == (75, 1), done


def test_verify_reports_intact_copies(filled):
    intact = filled.command("verify")
    assert (intact.returncode, intact.stdout[:8]) == (0, "5 intact"), intact
    data = next(path for path in filled.received.rglob("data") if path.stat().st_size == len(FILES["one.jpg"]))
    data.write_bytes(b"\xfe" * len(FILES["one.jpg"]))
    bad = filled.command("verify", filled.inbox / "ONE.jpg", filled.inbox / "sub")
    assert (bad.returncode, bad.stdout.splitlines()[0][:21]) == (1, "3 intact, 1 different"), bad
    assert f"{filled.inbox}\\one.jpg on drive different" in bad.stdout


def test_init_writes_file_that_check_accepts(filled, tmp_path):
    made = tmp_path / "config.yaml"
    url, pool = (filled.settings["remotes"]["drive"][key] for key in ("url", "pool_id"))
    done = filled.run("init", made, "--folder", filled.inbox, "--type", "multipart", "--url", url, "--pool-id", pool)
    assert done.returncode == 0, done
    assert yaml.safe_load(made.read_text(encoding="utf-8"))["folders"][0]["path"] == str(filled.inbox)
    checked = filled.run("check", "-c", made, "--json")
    assert not [one for one in json.loads(checked.stdout)["findings"] if one["level"] == "error"], checked
