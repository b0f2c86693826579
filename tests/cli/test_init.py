import os
import stat

import pytest

from syncd.cli import init
from syncd.cli.errors import CommandError
from syncd.cli.init import Answers, example_text, fill_in
from syncd.config.load import load

GUID = "123e4567-e89b-12d3-a456-426614174000"
MULTIPART = ["--type", "multipart", "--url", "https://drive.example", "--pool-id", GUID]
IMAGE = ["--type", "image", "--url", "https://images.example"]


def test_init_multipart_writes_valid_config(syncd, tmp_path):
    (tmp_path / "token").write_text("t0ken")
    target = tmp_path / "new" / "c.yaml"
    result = syncd("init", target, "--folder", tmp_path / "in", *MULTIPART, "--token-file", tmp_path / "token")
    assert (result.code, result.err) == (0, "")
    config = load(target).config
    (folder,) = config.folders
    assert (folder.path, folder.remotes) == (str(tmp_path / "in"), ("drive",))
    (remote,) = config.remotes.values()
    assert (remote.type, remote.url, remote.pool_id) == ("multipart", "https://drive.example", GUID)
    assert remote.token.get_secret_value() == "t0ken"


def test_init_without_pool_id_leaves_it_unset(syncd, tmp_path):
    result = syncd("init", tmp_path / "c.yaml", "--folder", tmp_path / "in", *MULTIPART[:4])
    assert (result.code, result.err) == (0, "")
    assert load(tmp_path / "c.yaml").config.remotes["drive"].pool_id is None


def test_init_image_writes_valid_config(syncd, tmp_path):
    syncd("init", tmp_path / "c.yaml", "--folder", tmp_path / "in", *IMAGE)
    config = load(tmp_path / "c.yaml").config
    (folder,) = config.folders
    assert (folder.path, folder.remotes) == (str(tmp_path / "in"), ("ascii",))
    assert "*.jpg" in folder.include
    (remote,) = config.remotes.values()
    assert (remote.type, remote.url, remote.token) == ("image", "https://images.example", None)


def test_init_mentions_videos_that_patterns_leave_out(syncd, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"content")
    assert "video file" not in syncd("init", tmp_path / "a.yaml", "--folder", folder, *IMAGE).out
    (folder / "clip.mp4").write_bytes(b"content")
    result = syncd("init", tmp_path / "b.yaml", "--folder", folder, *IMAGE)
    assert result.code == 0
    assert "1 video file left out by its patterns" in result.out


@pytest.mark.parametrize(
    "name", ["a b", "#x: y", "${HOME}", 'quo"te\\', "- d", "سلام", "new\nline", "~x", "null", "{a}"]
)
def test_fill_in_keeps_any_folder_name(tmp_path, name):
    folder = str(tmp_path / name)
    text = fill_in(example_text(), Answers(folder=folder, type="image", url="http://127.0.0.1:1"))
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "c.yaml").config.folders[0].path == folder


def test_init_writes_only_private_file(syncd, tmp_path):
    syncd("init", tmp_path / "c.yaml", "--folder", "in", *IMAGE)
    assert stat.S_IMODE((tmp_path / "c.yaml").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["c.yaml"]


def test_init_prints_next_steps_with_file(syncd, tmp_path):
    out = syncd("init", tmp_path / "c.yaml", "--folder", "in", *IMAGE).out
    assert f"syncd check -c {tmp_path}/c.yaml\n" in out
    assert f"syncd ctl -c {tmp_path}/c.yaml status\n" in out


def test_init_default_file_prints_steps_without_option(syncd, tmp_path):
    out = syncd("init", "--folder", "in", *IMAGE).out
    assert "  syncd check\n" in out
    assert (tmp_path / "home" / "config" / "syncd" / "config.yaml").exists()


def test_init_existing_file_requires_force(syncd, tmp_path):
    target = tmp_path / "c.yaml"
    target.write_text("precious")
    result = syncd("init", target, "--folder", "in", *IMAGE)
    assert (result.code, target.read_text()) == (1, "precious")
    assert "--force" in result.err
    assert syncd("init", target, "--folder", "in", *IMAGE, "--force").code == 0
    assert load(target).config.folders


def test_write_file_created_concurrently_is_kept(tmp_path):
    target = tmp_path / "c.yaml"
    target.write_text("precious")
    with pytest.raises(CommandError, match="already exists"):
        init._write(target, example_text(), force=False)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_init_invalid_value_writes_nothing(syncd, tmp_path, force):
    result = syncd("init", tmp_path / "c.yaml", "--folder", "in", "--type", "image", "--url", "nonsense", *force)
    assert result.code == 78
    assert "remotes.ascii.url: must be an address" in result.err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--folder is required"),
        (["--folder", "in"], "--type is required"),
        (["--folder", "in", "--type", "multipart"], "--url is required"),
        (["--folder", "in", *IMAGE, "--pool-id", GUID], "--pool-id requires --type multipart"),
    ],
)
def test_init_without_terminal_requires_values(syncd, tmp_path, arguments, expected):
    result = syncd("init", tmp_path / "c.yaml", *arguments)
    assert result.code == 2
    assert expected in result.err


def test_init_non_utf8_folder_fails(syncd, tmp_path):
    result = syncd("init", tmp_path / "c.yaml", "--folder", os.fsdecode(b"\xff"), *IMAGE)
    assert result.code == 1
    assert "not UTF-8" in result.err
