"""Starts syncd commands as real processes whose imports are already done.

Importing takes most of the CPU time of a start, and the tests start hundreds of processes. :class:`Preloader` runs this
module as a process that imports syncd once and forks a child for each command. A child has its own environment,
directory, standard streams and default signal handlers, like any new process. Tests of the start itself
and of the memory start real commands: see :class:`~tests.support.processes.SyncdProcess`.
"""

import array
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from contextlib import suppress

PRELOAD = ("syncd.cli.run", "syncd.cli.serve", "syncd.daemon.daemon", "syncd.receiver.serve")
MAX_REQUEST_BYTES = 1 << 20


class PreloadedChild:
    """A child of the preloader.

    It has those methods of ``subprocess.Popen`` that the tests use.
    """

    def __init__(self, arguments, pid, status, stdout):
        self.args = arguments
        self.pid = pid
        self.returncode = None
        self.stdout = stdout
        self._status = status

    def poll(self):
        """Return the exit code, or None while the process runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.returncode = int(os.read(self._status, 16) or -signal.SIGKILL)
            os.close(self._status)
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end of the process, as `subprocess.Popen.wait` does."""
        if self.returncode is None and not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.poll()

    def send_signal(self, number):
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since, as with subprocess.Popen
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class Preloader:
    """Forks a child for each command, from a process that has imported syncd.

    That process ends together with this one.
    """

    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST_BYTES)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.preloaded", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def start(self, arguments, *, stderr, env):
        """Run ``syncd`` with ``arguments``. ``stdout`` is a pipe; ``stderr`` is an open file."""
        out, out_end = os.pipe()
        status, status_end = os.pipe()
        sys.audit("subprocess.Popen", "syncd", arguments, os.getcwd(), env)  # as if this process had started it
        request = {"arguments": arguments, "env": env, "cwd": os.getcwd()}
        fds = array.array("i", [out_end, stderr.fileno(), status_end])
        self._socket.sendmsg([json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        os.close(out_end)
        os.close(status_end)
        pid = int(self._socket.recv(16))
        return PreloadedChild(arguments, pid, status, os.fdopen(out, "rb"))

    def close(self):
        self._socket.close()
        self._process.wait()


def _serve(requests):
    """Fork a child for each request, and write its exit code to its pipe when it ends."""
    for name in PRELOAD:
        importlib.import_module(name)
    running = {}
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([requests, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _report_ended(running)
        if requests in ready:
            message, fds, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 3)
            if not message:
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (wake, woken, requests.detach(), fds[2], *running.values()):
                    os.close(descriptor)
                _run(json.loads(message), *fds[:2])
            running[pid] = fds[2]
            for descriptor in fds[:2]:
                os.close(descriptor)
            requests.send(str(pid).encode())


def _report_ended(running):
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        pipe = running.pop(pid)
        with suppress(BrokenPipeError):  # the test process has ended
            os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(pipe)


def _run(request, stdout, stderr):
    """Become the command: never returns."""
    code = 1
    try:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as it runs
        sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        sys.argv = ["syncd", *request["arguments"]]
        from syncd.cli import main  # noqa: PLC0415 - imported before the fork

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connected:
        _serve(connected)
