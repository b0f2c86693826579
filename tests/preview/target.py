"""The target of the attempts in ``inside.py``, and the parent process that makes them."""

import os
import socket
from pathlib import Path

import pytest

from syncd.preview import kernel, linux, seccomp
from syncd.preview.protocol import CPU_SECONDS, PREVIEWS_PER_WORKER, REQUEST

ROOT = Path(__file__).parents[2]
ALL = " ".join(linux.LAYERS)
IS_ROOT = os.geteuid() == 0


def landlock_version():
    try:
        return kernel.syscall(444, 0, 0, 1)
    except OSError:
        return 0


def missing_support(layer, version=1):
    """Return why this kernel can't be tested with a layer, or None."""
    if layer == "landlock" and landlock_version() < version:
        return f"the kernel has version {landlock_version()} of Landlock, this takes {version}"
    if layer == "seccomp" and "Seccomp:" not in Path("/proc/self/status").read_text():
        return "the kernel has no seccomp"
    if layer == "seccomp" and os.uname().machine not in seccomp.AUDIT_ARCH:
        return f"there is no filter for {os.uname().machine}"
    return None


def skip_unless_supported(layers):
    for layer in layers.split():
        if reason := missing_support(layer):
            pytest.skip(reason)


class Target:
    """A file and listening sockets that an attempt tries to reach."""

    def __init__(self, folder):
        self.file = folder / "file"
        self.file.write_bytes(b"a secret")
        for suffix in (".own", ".old"):
            self.file.with_name(f"file{suffix}").touch()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract, self.unix = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0syncd-test-" + os.urandom(8).hex())
        self.unix.bind(str(self.file) + ".socket")
        for listener in (self.abstract, self.unix):
            listener.listen()

    def close(self):
        for listener in (self.tcp, self.abstract, self.unix):
            listener.close()

    def run_attempt(self, what, layers, *, file=None, user=0, seconds=CPU_SECONDS, pictures=PREVIEWS_PER_WORKER):
        """Make an attempt. Return its answer, or the exit code of the process if it gave none."""
        environment = {
            "TRY": what,
            "LAYERS": layers,
            "FILE": str(file or self.file),
            "PORT": str(self.tcp.getsockname()[1]),
            "ABSTRACT": self.abstract.getsockname()[1:].decode(),
            "USER": str(user),
            "CPU_SECONDS": str(seconds),
            "PREVIEWS_PER_WORKER": str(pictures),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }
        ours, theirs = socket.socketpair()
        with ours, self.file.open("rb") as image:
            with theirs:
                process = linux.Process(
                    ("-P", "-c", "from tests.preview import inside; inside.main()"), theirs, environment
                )
            try:
                process.send(ours, REQUEST.pack(100), image.fileno())
                answer = ours.recv(100).decode()
                return answer or process._popen.wait()
            finally:
                process.end()
