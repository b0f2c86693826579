"""Tests Landlock rulesets and seccomp filters of all versions, without the kernel."""

import struct
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("only Linux has these modules", allow_module_level=True)

from syncd.preview import landlock, seccomp


def test_landlock_denials_match_version():
    """A kernel rejects a ruleset with unknown bits, and a missing bit permits access."""
    asked = {version: struct.unpack("=QQQ", landlock.denials(version)) for version in range(1, 9)}
    assert {version: files.bit_length() for version, (files, _, _) in asked.items()} == {
        1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16
    }  # fmt: skip
    assert [network for _, network, _ in asked.values()] == [0, 0, 0, 3, 3, 3, 3, 3]
    assert [scopes for _, _, scopes in asked.values()] == [0, 0, 0, 0, 0, 3, 3, 3]


def verdict(machine, number, *arguments, architecture=None):
    """Interpret the filter for one system call."""
    program = list(struct.iter_unpack("=HBBI", seccomp.program(machine, 4711)))
    data = struct.pack("=iIQ6Q", number, architecture or seccomp.AUDIT_ARCH[machine], 0, *(*arguments, *[0] * 6)[:6])
    register = at = 0
    while True:
        operation, if_true, if_false, operand = program[at]
        match operation:
            case seccomp._LOAD:
                (register,) = struct.unpack_from("=I", data, operand)
                if_true = if_false = 0
            case seccomp._RETURN:
                return operand
        true = {
            seccomp._LOAD: True,
            seccomp._IF_EQUAL: register == operand,
            seccomp._IF_AT_LEAST: register >= operand,
            seccomp._IF_ANY_BIT: bool(register & operand),
        }[operation]
        at += 1 + (if_true if true else if_false)


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
DENIED = {
    "x86_64": {
        "open": 2, "stat": 4, "ioctl": 16, "socket": 41, "connect": 42, "accept": 43, "sendmsg": 46, "bind": 49,
        "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "unlink": 87, "chmod": 90, "ptrace": 101, "prctl": 157,
        "tkill": 200, "keyctl": 250, "openat": 257, "unshare": 272, "process_vm_readv": 310, "seccomp": 317,
        "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    },
    "aarch64": {
        "ioctl": 29, "unlinkat": 35, "openat": 56, "unshare": 97, "ptrace": 117, "kill": 129, "tkill": 130,
        "prctl": 167, "socket": 198, "bind": 200, "accept": 202, "connect": 203, "sendmsg": 211, "keyctl": 219,
        "execve": 221, "process_vm_readv": 270, "seccomp": 277, "memfd_create": 279, "bpf": 280,
        "execveat": 281, "userfaultfd": 282,
    },
}  # fmt: skip
NEWER = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "clone3": 435,
    "pidfd_getfd": 438,
    "landlock": 444,
    "later": 999,
}
ARGUMENTS = [
    ("clone", (0x3D0F00,), ALLOW),  # glibc starts a thread with these flags
    ("clone", (17,), EPERM),  # fork
    ("clone", (0x4111,), EPERM),  # vfork
    ("fcntl", (3, 3), ALLOW),
    ("fcntl", (3, 8), EPERM),
    ("fcntl", (3, 1024), EPERM),
    ("mmap", (0, 4096, 3), ALLOW),
    ("mmap", (0, 4096, 7), EPERM),
    ("mprotect", (0, 4096, 5), EPERM),
    ("newfstatat", (3, 4096, 0, 0x1000), ALLOW),
    ("newfstatat", (-100 & 2**64 - 1, 4096, 0, 0x100), EPERM),
    ("prlimit64", (0, 7), ALLOW),
    ("prlimit64", (1, 7), EPERM),
    ("tgkill", (4711, 4712, 6), ALLOW),
    ("tgkill", (1, 1, 6), EPERM),
    ("read", (3, 4096, 1), ALLOW),
]


@pytest.mark.parametrize("machine", seccomp.AUDIT_ARCH)
def test_seccomp_filter_decides_calls_per_architecture(machine):
    column = list(seccomp.AUDIT_ARCH).index(machine)
    for name, arguments, wanted in ARGUMENTS:
        assert verdict(machine, seccomp.CALLS[name][column], *arguments) == wanted, (name, arguments)
    assert {verdict(machine, number) for number in DENIED[machine].values()} == {EPERM}
    assert {verdict(machine, number) for number in NEWER.values()} == {ENOSYS}
    assert verdict(machine, seccomp.CALLS["read"][column], architecture=0x40000003) == KILL  # i386


def test_seccomp_calls_match_documented_count():
    page = (Path(__file__).parents[2] / "docs/reference/preview-sandbox.md").read_text(encoding="utf-8")
    assert f"Every system call but {len(seccomp.CALLS)}," in page


def test_seccomp_other_architecture_raises_error(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        seccomp.restrict()
