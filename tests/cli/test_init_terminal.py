"""``syncd init`` on a terminal.

It asks only for missing values, checks each answer at once, and loses no answer.
"""

import os
import shlex

import pytest

from syncd.cli import init_questions
from syncd.cli.init_questions import Questions
from syncd.config.load import load
from syncd.core.errors import Permanent, Unauthorized
from tests.support.terminal import TerminalCommand

GUID = "123e4567-e89b-12d3-a456-426614174000"
UNREACHABLE = "http://127.0.0.1:1"

pytestmark = pytest.mark.e2e


@pytest.fixture
def init(tmp_path):
    """Start ``syncd init`` for the file c.yaml with these options."""
    return lambda *options, **environment: TerminalCommand("init", tmp_path / "c.yaml", *options, **environment)


@pytest.fixture
def locked_receiver(process, tmp_path):
    """The URL of a receiver that requires the token ``t0ken``."""
    environment = {**os.environ, "SYNCD_SERVE_TOKEN": "t0ken"}
    started = process("serve", "--dir", tmp_path / "received", "--port", "0", env=environment)
    return started.stdout.readline().split()[0]


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "in").mkdir()
    return str(tmp_path / "in")


def remote(tmp_path):
    (found,) = load(tmp_path / "c.yaml").config.remotes.values()
    return found


def test_init_asks_only_what_it_needs_and_ends_with_check(init, receiver, inbox, tmp_path):
    with init() as asking:
        asking.answer("Folder to watch: ", inbox)
        asking.expect("ok: the folder exists and can be read")
        asking.answer("Address of the server [http://127.0.0.1:4444]: ", receiver)
        asking.expect("ok: the server answers\n")
        asking.answer("API to use (multipart, image) [multipart]: ", "")
        asking.answer("Pool for the files, a GUID or ULID (Enter: the server chooses): ", "")
        asking.expect(f"Wrote {tmp_path}/c.yaml.\nChecking it:\n")
        asking.expect("ok     configuration")
        asking.expect("answers in")
        asking.expect(f"Next:\n  syncd run -c {tmp_path}/c.yaml\n")
        assert asking.end() == 0
        assert "oken" not in asking.text  # the server requires none
    config = load(tmp_path / "c.yaml").config
    assert config.folders[0].path == inbox
    assert (remote(tmp_path).url, remote(tmp_path).pool_id) == (receiver, None)


def test_init_checks_options_and_asks_for_the_rest(init, receiver, inbox, tmp_path):
    with init("--folder", inbox, "--type", "image") as asking:
        asking.expect("ok: the folder exists")
        asking.answer("Address of the server [http://127.0.0.1:4444]: ", receiver)
        asking.expect("ok: the server answers")
        assert asking.end() == 0
        assert asking.text.count("]: ") == 1  # no other question
    assert (remote(tmp_path).type, remote(tmp_path).url) == ("image", receiver)


@pytest.mark.parametrize("action", ["", "create", "keep"])
def test_init_missing_folder_is_created_or_kept(init, receiver, tmp_path, action):
    folder = tmp_path / "new" / "in"
    with init("--url", receiver, "--type", "image") as asking:
        asking.answer("Folder to watch: ", str(folder))
        asking.expect(f"{folder} does not exist\n")
        asking.answer("Do what (create, keep, change) [create]: ", action)
        assert asking.end() == 0
    assert folder.is_dir() == (action != "keep")
    assert load(tmp_path / "c.yaml").config.folders[0].path == str(folder)


def test_init_unusable_folder_is_asked_for_again(init, receiver, inbox, tmp_path):
    (tmp_path / "file").touch()
    with init("--url", receiver, "--folder", tmp_path / "file") as asking:
        asking.expect(f"{tmp_path}/file is not a folder\n")
        asking.answer("Folder to watch: ", str(tmp_path / "none"))
        asking.answer("[create]: ", "change")
        asking.answer("Folder to watch: ", str(tmp_path / "file" / "below"))
        asking.answer("[create]: ", "")
        asking.expect("below cannot be created: Not a directory\n")
        asking.answer("Folder to watch: ", inbox)
        asking.answer("API to use (multipart, image) [multipart]: ", "image")
        assert asking.end() == 0
    assert load(tmp_path / "c.yaml").config.folders[0].path == inbox


def test_init_unreachable_server_can_be_kept(init, inbox, tmp_path):
    with init("--folder", inbox, "--type", "multipart") as asking:
        asking.answer("Address of the server [http://127.0.0.1:4444]: ", UNREACHABLE)
        asking.expect("multipart API: can't connect")
        asking.expect("check the address, and that the server is up\n")
        asking.answer("Do what (change, keep) [change]: ", "keep")
        asking.answer("File with the server's token (Enter: no token): ", "")
        asking.answer("the server chooses): ", GUID)
        asking.expect(f"Wrote {tmp_path}/c.yaml.")
        asking.expect("error  remote drive")
        asking.expect(f"Fix the errors above, then run:\n  syncd check -c {tmp_path}/c.yaml\n")
        assert asking.end() == 0
    assert (remote(tmp_path).url, remote(tmp_path).pool_id) == (UNREACHABLE, GUID)


def test_init_wrong_address_and_pool_are_asked_for_again(init, receiver, inbox, tmp_path):
    with init("--folder", inbox, "--type", "multipart") as asking:
        asking.answer("4444]: ", "nonsense")
        asking.expect("must be an address such as https://host or http://host:port\n")
        asking.answer("4444]: ", UNREACHABLE)
        asking.answer("Do what (change, keep) [change]: ", "")
        asking.answer("4444]: ", receiver)
        asking.answer("the server chooses): ", "pool 7")
        asking.expect("must be a GUID, such as")
        asking.answer("the server chooses): ", GUID)
        assert asking.end() == 0
    assert (remote(tmp_path).url, remote(tmp_path).pool_id) == (receiver, GUID)


def test_init_asks_for_token_if_server_requires_it(init, locked_receiver, inbox, tmp_path):
    for name, text in (("right", "t0ken\n"), ("wrong", "other"), ("empty", "\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    with init("--folder", inbox, "--url", locked_receiver) as asking:
        asking.expect("ok: the server answers, and requires a token\n")
        asking.answer("[multipart]: ", "image")
        asking.answer("File with the server's token (Enter: no token): ", str(tmp_path / "none"))
        asking.expect("none: No such file or directory; create it with only the token in it\n")
        asking.answer("no token): ", str(tmp_path / "empty"))
        asking.expect("empty contains no token; it must contain only the token\n")
        asking.answer("no token): ", str(tmp_path / "wrong"))
        asking.expect("image API: ")
        asking.answer("Do what (change, keep) [change]: ", "")
        asking.answer("no token): ", str(tmp_path / "right"))
        asking.expect("ok: the server accepts the token\n")
        asking.expect("and accepts the token")  # from the check
        assert asking.end() == 0
        assert "t0ken" not in asking.text
    assert remote(tmp_path).token.get_secret_value() == "t0ken"


@pytest.mark.parametrize("stop", ["\x03", "\x04"])
def test_init_stopped_names_answers_and_writes_nothing(init, receiver, inbox, tmp_path, stop):
    with init("--type", "multipart") as asking:
        asking.answer("Folder to watch: ", inbox)
        asking.answer("4444]: ", receiver)
        asking.expect("the server chooses): ")
        asking.press_until(stop, "nothing was written")
        assert asking.end() == 130
        last = asking.text.splitlines()[-1]
    assert not (tmp_path / "c.yaml").exists()
    kept, _, command = last.partition("; continue with: ")
    assert kept == "syncd: nothing was written"
    expected = ["syncd", "init", f"{tmp_path}/c.yaml", "--folder", inbox, "--type", "multipart", "--url", receiver]
    assert shlex.split(command) == expected


def test_init_stopped_before_first_answer_writes_nothing(init, tmp_path):
    with init() as asking:
        asking.expect("Folder to watch: ")
        asking.send("\x04")
        assert asking.end() == 130
        assert asking.text.endswith("\nsyncd: nothing was written\n")
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize(
    ("failures", "kind", "token"),
    [
        ({"multipart": Permanent("404")}, "image", False),
        ({"image": Permanent("404")}, "multipart", False),
        ({"image": Unauthorized("401"), "multipart": Permanent("404")}, "image", True),
    ],
)
def test_init_finds_the_only_api_of_a_server(monkeypatch, capsys, failures, kind, token):
    monkeypatch.setattr(init_questions, "_probe", lambda settings: (failures.get(settings.type), "text"))
    questions = Questions({"url": "https://images.example", "kind": None})
    assert questions._ask_server() == token
    assert questions.answers["kind"] == kind
    assert f"  API: {kind}\n" in capsys.readouterr().out


def test_init_with_all_values_asks_nothing(init, inbox, tmp_path):
    with init("--folder", inbox, "--type", "image", "--url", UNREACHABLE) as asking:
        assert asking.end() == 0
        assert asking.text.startswith(f"Wrote {tmp_path}/c.yaml. Review it, then run:\n  syncd check -c")
