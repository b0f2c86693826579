import os
import pty
import stat
import subprocess
import sys

import pytest

from syncd.cli import init
from syncd.cli.errors import CommandError
from syncd.cli.init import Answers, example_text, fill_in
from syncd.config.load import load

GUID = "123e4567-e89b-12d3-a456-426614174000"
MULTIPART = ["--type", "multipart", "--url", "https://drive.example", "--pool-id", GUID]
IMAGE = ["--type", "image", "--url", "https://images.example"]


def test_what_it_wrote_for_multipart_loads(syncd, tmp_path):
    (tmp_path / "token").write_text("t0ken")
    target = tmp_path / "new" / "c.yaml"
    ended = syncd("init", target, "--folder", tmp_path / "in", *MULTIPART, "--token-file", tmp_path / "token")
    assert (ended.code, ended.err) == (0, "")
    config = load(target).config
    (folder,) = config.folders
    assert (folder.path, folder.remotes) == (str(tmp_path / "in"), ("drive",))
    (remote,) = config.remotes.values()
    assert (remote.type, remote.url, remote.pool_id) == ("multipart", "https://drive.example", GUID)
    assert remote.token.get_secret_value() == "t0ken"


def test_without_a_pool_the_server_chooses_one(syncd, tmp_path):
    ended = syncd("init", tmp_path / "c.yaml", "--folder", tmp_path / "in", *MULTIPART[:4])
    assert (ended.code, ended.err) == (0, "")
    assert load(tmp_path / "c.yaml").config.remotes["drive"].pool_id is None


def test_what_it_wrote_for_images_loads(syncd, tmp_path):
    syncd("init", tmp_path / "c.yaml", "--folder", tmp_path / "in", *IMAGE)
    config = load(tmp_path / "c.yaml").config
    (folder,) = config.folders
    assert (folder.path, folder.remotes) == (str(tmp_path / "in"), ("ascii",))
    assert "*.jpg" in folder.include
    (remote,) = config.remotes.values()
    assert (remote.type, remote.url, remote.token) == ("image", "https://images.example", None)


@pytest.mark.parametrize(
    "name", ["a b", "#x: y", "${HOME}", 'quo"te\\', "- d", "سلام", "new\nline", "~x", "null", "{a}"]
)
def test_every_folder_comes_back_as_it_was(tmp_path, name):
    folder = str(tmp_path / name)
    text = fill_in(example_text(), Answers(folder=folder, type="image", url="http://127.0.0.1:1"))
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "c.yaml").config.folders[0].path == folder


def test_it_is_for_its_owner_alone_and_nothing_else_is_left(syncd, tmp_path):
    syncd("init", tmp_path / "c.yaml", "--folder", "in", *IMAGE)
    assert stat.S_IMODE((tmp_path / "c.yaml").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["c.yaml"]


def test_the_next_steps_name_the_file(syncd, tmp_path):
    out = syncd("init", tmp_path / "c.yaml", "--folder", "in", *IMAGE).out
    assert f"syncd check -c {tmp_path}/c.yaml\n" in out
    assert f"syncd ctl -c {tmp_path}/c.yaml status\n" in out


def test_the_usual_place_needs_no_option(syncd, tmp_path):
    out = syncd("init", "--folder", "in", *IMAGE).out
    assert "  syncd check\n" in out
    assert (tmp_path / "home" / "config" / "syncd" / "config.yaml").exists()


def test_a_file_that_is_there_stays(syncd, tmp_path):
    target = tmp_path / "c.yaml"
    target.write_text("precious")
    ended = syncd("init", target, "--folder", "in", *IMAGE)
    assert (ended.code, target.read_text()) == (1, "precious")
    assert "--force" in ended.err
    assert syncd("init", target, "--folder", "in", *IMAGE, "--force").code == 0
    assert load(target).config.folders


def test_a_file_that_appears_meanwhile_stays(tmp_path):
    target = tmp_path / "c.yaml"
    target.write_text("precious")
    with pytest.raises(CommandError, match="already exists"):
        init._write(target, example_text(), force=False)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_nothing_that_would_not_load_is_written(syncd, tmp_path, force):
    ended = syncd("init", tmp_path / "c.yaml", "--folder", "in", "--type", "image", "--url", "nonsense", *force)
    assert ended.code == 78
    assert "remotes.ascii.url: must be an address" in ended.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--folder is required"),
        (["--folder", "in"], "--type is required"),
        (["--folder", "in", "--type", "multipart"], "--url is required"),
        (["--folder", "in", *IMAGE, "--pool-id", GUID], "--pool-id requires --type multipart"),
    ],
)
def test_where_nobody_can_be_asked_all_must_be_given(syncd, tmp_path, arguments, words):
    ended = syncd("init", tmp_path / "c.yaml", *arguments)
    assert ended.code == 2
    assert words in ended.err


def test_a_name_that_yaml_can_not_hold(syncd, tmp_path):
    ended = syncd("init", tmp_path / "c.yaml", "--folder", os.fsdecode(b"\xff"), *IMAGE)
    assert ended.code == 1
    assert "not UTF-8" in ended.err


@pytest.mark.e2e
def test_on_a_terminal_it_asks(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "syncd", "init", tmp_path / "c.yaml", "--type", "multipart"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as asking:
        for answer in (str(tmp_path / "in"), "", GUID, ""):
            os.write(ours, f"{answer}\n".encode())
        assert asking.wait(30) == 0
    os.close(ours)
    os.close(theirs)
    config = load(tmp_path / "c.yaml").config
    assert config.folders[0].path == str(tmp_path / "in")
    assert config.remotes["drive"].url == "http://127.0.0.1:4444"
