import os
import subprocess
import sys

import pytest


def completed(words, *, shell="bash"):
    """Return what the shell is told to offer for the last word."""
    environment = {
        **os.environ,
        "_SYNCD_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1) if shell != "fish" else words[-1],
    }
    script = "import sys; sys.argv = ['syncd']; from syncd.cli import main; main()"
    out = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert out.stderr == ""
    return [line.rpartition(",")[2] for line in out.stdout.splitlines()]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef syncd"), ("fish", "complete --no-files")]
)
def test_each_shell_gets_its_script(syncd, shell, mark):
    ended = syncd("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert mark in ended.out
    assert f"_SYNCD_COMPLETE={shell}_complete" in ended.out


def test_another_shell_is_refused(syncd):
    ended = syncd("completion", "csh")
    assert ended.code == 2
    assert "'bash', 'zsh', 'fish'" in ended.err


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["syncd", "com"], ["completion"]),
        (["syncd", "ctl", "wat"], ["watch"]),
        (["syncd", "ctl", "jobs", "--state", "u"], ["uploading"]),
        (["syncd", "ctl", "logs", "--level", "e"], ["error"]),
        (["syncd", "ctl", "jobs", "--sta"], ["--state"]),
        (["syncd", "completion", "z"], ["zsh"]),
    ],
)
def test_commands_options_and_states_are_completed(words, offered):
    assert completed(words) == offered


@pytest.mark.e2e
def test_bash_takes_the_script(syncd, tmp_path):
    script = tmp_path / "syncd.bash"
    script.write_text(syncd("completion", "bash").out)
    subprocess.run(["bash", "-n", script], check=True, capture_output=True)
