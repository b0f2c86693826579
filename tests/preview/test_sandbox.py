"""The worker's sandbox, from the inside: all of it together, each layer alone, and what is there without one.

Each attempt is made in a process of its own that confines itself by the worker's own code (``inside.py``). Without any
layer every attempt succeeds, which shows that it is one. The worker itself is looked at from the outside.
"""

import os
import shutil
import signal
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = [pytest.mark.unix, pytest.mark.e2e]  # on Windows: tests/windows/test_previews.py
if sys.platform != "linux":
    pytest.skip("the layers beyond limits are Linux' own", allow_module_level=True)

from syncd.preview import linux  # noqa: E402 - there are no such modules elsewhere
from tests.preview.target import ALL, IS_ROOT, Target, lacking, need  # noqa: E402

NOBODY = 65534
REFUSED = {"EPERM", "EACCES", "EAGAIN", "EFBIG", "EMFILE", "ENOMEM", "ValueError", "RuntimeError"}


@pytest.fixture
def target(tmp_path):
    with closing(Target(tmp_path)) as made:
        yield made


LANDLOCK = {
    "open_for_reading": 1,
    "open_for_writing": 1,
    "create_a_file": 1,
    "remove_a_file": 1,
    "make_a_folder": 1,
    "list_a_folder": 1,
    "open_by_proc": 1,
    "execute": 1,
    "spawn": 1,
    "trace_the_parent": 1,
    "connect_to_loopback": 4,
    "connect_to_an_abstract_socket": 6,
    "signal_the_parent": 6,
}
"""What Landlock denies by itself, and the version that it takes."""
SECCOMP = {
    *LANDLOCK,
    "ask_of_a_file",
    "change_a_mode",
    "change_an_owner",
    "connect_to_a_unix_socket",
    "fork",
    "have_the_parent_signalled",
    "limit_the_parent",
    "listen",
    "make_a_socket_pair",
    "make_a_udp_socket",
    "run_what_it_wrote",
    "signal_the_group",
}
"""What the filter denies by itself."""
LIMITS = {"open_many", "take_memory", "write_to_an_open_file"}
RAISED = {"raise_the_computing", "raise_the_file_size", "raise_the_memory"}
"""Limits that are to stay, which root has a capability to raise."""
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def impossible(what):
    """Return why an attempt can't succeed on this machine, whatever the sandbox; None if it can."""
    if what == "trace_the_parent" and YAMA.exists() and YAMA.read_text().strip() != "0":
        return f"{YAMA} denies it to everybody"
    return "only root can do that at all" if what == "change_an_owner" and not IS_ROOT else None


@pytest.mark.parametrize("what", sorted({*SECCOMP, *LIMITS, *RAISED, "gain_privileges", "start_a_thread"}))
def test_without_a_layer_each_attempt_succeeds(target, what):
    if reason := impossible(what):
        pytest.skip(reason)
    assert target.tries(what, "") in ("done", 0)


@pytest.mark.parametrize("what", sorted({*SECCOMP, *LIMITS, *RAISED, "gain_privileges"}))
def test_the_whole_sandbox_refuses_it(target, what):
    need(ALL)
    assert target.tries(what, ALL) in REFUSED


@pytest.mark.parametrize("what", LANDLOCK)
def test_landlock_alone_refuses_it(target, what):
    if reason := lacking("landlock", LANDLOCK[what]):
        pytest.skip(reason)
    assert target.tries(what, "no_new_privs landlock") in ("EACCES", "EPERM")


@pytest.mark.parametrize("what", sorted(SECCOMP))
def test_the_filter_alone_refuses_it(target, what):
    need("seccomp")
    assert target.tries(what, "no_new_privs seccomp") == "EPERM"


@pytest.mark.parametrize("what", sorted(LIMITS))
def test_the_limits_alone_refuse_it(target, what):
    expected = {"open_many": "EMFILE", "take_memory": "ENOMEM", "write_to_an_open_file": "EFBIG"}
    assert target.tries(what, "limits") == expected[what]


@pytest.mark.parametrize("what", sorted({*RAISED, "raise_the_soft_memory"}))
def test_no_limit_can_be_raised_again(target, what):
    assert target.tries(what, "limits capabilities") in ("EPERM", "ValueError")


@pytest.mark.parametrize("what", ["fork", "spawn", "start_a_thread"])
def test_the_limits_alone_allow_no_process_to_a_user(target, what):
    """Linux does not count root's."""
    assert target.tries(what, "limits", user=NOBODY if IS_ROOT else 0) in ("EAGAIN", "RuntimeError")


@pytest.mark.skipif(not IS_ROOT, reason="only root has a capability to give up")
def test_root_gives_up_what_makes_it_root(target):
    assert target.tries("change_an_owner", "capabilities") == "EPERM"


def test_no_program_brings_privileges_back(target):
    assert target.tries("gain_privileges", "no_new_privs") == "EPERM"


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a program that makes root of another user")
def test_a_set_uid_program_gives_none(target):
    with tempfile.TemporaryDirectory() as folder:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            pytest.skip(f"{folder} is mounted nosuid")
        os.chmod(folder, 0o755)
        program = Path(folder, "mkdir")
        shutil.copy("/bin/mkdir", program)
        program.chmod(0o4755)
        Path(f"{program}.own").touch()
        assert target.tries("execute_as_root", "no_new_privs", file=program, user=NOBODY) == 1
        assert target.tries("execute_as_root", "", file=program, user=NOBODY) == 0


def test_an_image_has_its_time_of_computing(target):
    assert target.tries("compute_for_long", "limits", seconds=1) == linux.EXHAUSTED


def test_who_ignores_the_end_of_that_time_is_killed_at_the_hard_limit(target):
    assert target.tries("compute_in_spite_of_the_signal", ALL, seconds=1, pictures=2) == -signal.SIGKILL
