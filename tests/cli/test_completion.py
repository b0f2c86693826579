import os
import subprocess
import sys

import pytest


def complete(words, *, shell="bash"):
    """Return the completions of the last word."""
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
    ("shell", "expected"), [("bash", "complete -o nosort"), ("zsh", "#compdef syncd"), ("fish", "complete --no-files")]
)
def test_completion_prints_script_of_shell(syncd, shell, expected):
    result = syncd("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert expected in result.out
    assert f"_SYNCD_COMPLETE={shell}_complete" in result.out


def test_completion_unknown_shell_is_usage_error(syncd):
    result = syncd("completion", "csh")
    assert result.code == 2
    assert "'bash', 'zsh', 'fish'" in result.err


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["syncd", "com"], ["completion"]),
        (["syncd", "ctl", "wat"], ["watch"]),
        (["syncd", "ctl", "jobs", "--state", "u"], ["uploading"]),
        (["syncd", "ctl", "logs", "--level", "e"], ["error"]),
        (["syncd", "ctl", "jobs", "--sta"], ["--state"]),
        (["syncd", "completion", "z"], ["zsh"]),
    ],
)
def test_completion_offers_commands_options_and_values(words, expected):
    assert complete(words) == expected


@pytest.mark.e2e
def test_completion_script_is_valid_bash(syncd, tmp_path):
    script = tmp_path / "syncd.bash"
    script.write_text(syncd("completion", "bash").out)
    subprocess.run(["bash", "-n", script], check=True, capture_output=True)
