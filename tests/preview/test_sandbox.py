"""Tests the worker's sandbox from the inside: all layers, each layer alone, no layer.

``inside.py`` makes each attempt in a separate process that applies the worker's own sandbox code. Without any layer
every attempt succeeds, which proves that the attempt is valid. ``test_confined`` tests the worker from the outside.
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
    pytest.skip("only Linux has more layers than limits", allow_module_level=True)

from syncd.preview import linux  # noqa: E402 - only Linux can import it
from tests.preview.target import ALL, IS_ROOT, Target, missing_support, skip_unless_supported  # noqa: E402

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
"""The attempts that Landlock alone denies, and the version that each needs."""
SECCOMP = {
    *LANDLOCK,
    "stat_a_file",
    "change_a_mode",
    "change_an_owner",
    "connect_to_a_unix_socket",
    "fork",
    "make_the_kernel_signal_the_parent",
    "limit_the_parent",
    "listen",
    "make_a_socket_pair",
    "make_a_udp_socket",
    "map_executable_memory",
    "signal_the_group",
}
"""The attempts that the seccomp filter alone denies."""
LIMITS = {"open_many_files", "allocate_memory", "write_to_an_open_file"}
RAISED = {"raise_the_cpu_time", "raise_the_file_size", "raise_the_memory"}
"""Attempts to raise a limit. Root has a capability for it."""
YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def impossible(what):
    """Return why an attempt can't succeed on this machine even without a sandbox, or None."""
    if what == "trace_the_parent" and YAMA.exists() and YAMA.read_text().strip() != "0":
        return f"{YAMA} denies it to everybody"
    return "only root can do that at all" if what == "change_an_owner" and not IS_ROOT else None


@pytest.mark.parametrize("what", sorted({*SECCOMP, *LIMITS, *RAISED, "gain_privileges", "start_a_thread"}))
def test_no_layer_attempt_succeeds(target, what):
    if reason := impossible(what):
        pytest.skip(reason)
    assert target.run_attempt(what, "") in ("done", 0)


@pytest.mark.parametrize("what", sorted({*SECCOMP, *LIMITS, *RAISED, "gain_privileges"}))
def test_all_layers_attempt_is_denied(target, what):
    skip_unless_supported(ALL)
    assert target.run_attempt(what, ALL) in REFUSED


@pytest.mark.parametrize("what", LANDLOCK)
def test_landlock_alone_denies_attempt(target, what):
    if reason := missing_support("landlock", LANDLOCK[what]):
        pytest.skip(reason)
    assert target.run_attempt(what, "no_new_privs landlock") in ("EACCES", "EPERM")


@pytest.mark.parametrize("what", sorted(SECCOMP))
def test_seccomp_alone_denies_attempt(target, what):
    skip_unless_supported("seccomp")
    assert target.run_attempt(what, "no_new_privs seccomp") == "EPERM"


@pytest.mark.parametrize("what", sorted(LIMITS))
def test_limits_alone_deny_attempt(target, what):
    expected = {"open_many_files": "EMFILE", "allocate_memory": "ENOMEM", "write_to_an_open_file": "EFBIG"}
    assert target.run_attempt(what, "limits") == expected[what]


@pytest.mark.parametrize("what", sorted({*RAISED, "raise_the_soft_memory"}))
def test_limits_cannot_be_raised(target, what):
    assert target.run_attempt(what, "limits capabilities") in ("EPERM", "ValueError")


@pytest.mark.parametrize("what", ["fork", "spawn", "start_a_thread"])
def test_limits_alone_deny_process_to_user(target, what):
    """Linux does not count the processes of root."""
    assert target.run_attempt(what, "limits", user=NOBODY if IS_ROOT else 0) in ("EAGAIN", "RuntimeError")


@pytest.mark.skipif(not IS_ROOT, reason="only root has a capability to drop")
def test_capabilities_layer_drops_root_privileges(target):
    assert target.run_attempt("change_an_owner", "capabilities") == "EPERM"


def test_no_new_privs_is_set(target):
    assert target.run_attempt("gain_privileges", "no_new_privs") == "EPERM"


@pytest.mark.skipif(not IS_ROOT, reason="only root can create a set-uid program of root")
def test_no_new_privs_disables_set_uid_program(target):
    with tempfile.TemporaryDirectory() as folder:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            pytest.skip(f"{folder} is mounted nosuid")
        os.chmod(folder, 0o755)
        program = Path(folder, "mkdir")
        shutil.copy("/bin/mkdir", program)
        program.chmod(0o4755)
        Path(f"{program}.own").touch()
        assert target.run_attempt("execute_as_root", "no_new_privs", file=program, user=NOBODY) == 1
        assert target.run_attempt("execute_as_root", "", file=program, user=NOBODY) == 0


def test_cpu_soft_limit_ends_worker(target):
    assert target.run_attempt("use_much_cpu_time", "limits", seconds=1) == linux.EXHAUSTED


def test_cpu_hard_limit_kills_worker_ignoring_signal(target):
    assert target.run_attempt("ignore_the_cpu_signal", ALL, seconds=1, pictures=2) == -signal.SIGKILL
