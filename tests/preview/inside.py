"""Makes one attempt to leave the worker's sandbox, as a hijacked decoder would.

The parent starts it with the worker's own ``Process``, and sends it one request. The environment sets the layers to
apply (LAYERS; the others are omitted as if the system lacked them), the attempt (TRY), its file, addresses and user
(FILE, PORT, ABSTRACT, USER), and the limits (CPU_SECONDS, PREVIEWS_PER_WORKER). The answer is one word: the result.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable

from syncd.preview import kernel, linux, protocol, unix
from syncd.preview.picture import load

ENV = os.environ
PARENT = os.getppid()
"""Determined in advance, because an attempt must make no other call than the one to be denied."""
opened: list[int] = []
"""A file that was opened for writing before."""
ATTEMPTS: dict[str, Callable[[], object]] = {}
GIB = 1024**3
PTRACE_SEIZE = 0x4206
GET_NO_NEW_PRIVS = 39
libc = ctypes.CDLL(None, use_errno=True)


def attempt(function):
    ATTEMPTS[function.__name__] = function
    return function


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


@attempt
def open_for_reading():
    os.open(ENV["FILE"], os.O_RDONLY)


@attempt
def open_for_writing():
    os.open(ENV["FILE"], os.O_RDWR)


@attempt
def create_a_file():
    os.open(ENV["FILE"] + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL)


@attempt
def remove_a_file():
    os.unlink(ENV["FILE"] + ".old")


@attempt
def make_a_folder():
    os.mkdir(ENV["FILE"] + ".folder")


@attempt
def list_a_folder():
    os.listdir(os.path.dirname(ENV["FILE"]))


@attempt
def open_by_proc():
    """Open the standard output again for writing, by its name in /proc."""
    os.open("/proc/self/fd/1", os.O_WRONLY)


@attempt
def stat_a_file():
    os.stat(ENV["FILE"])


@attempt
def change_a_mode():
    os.chmod(ENV["FILE"], 0o777)


@attempt
def change_an_owner():
    os.chown(ENV["FILE"], 1, 1)


@attempt
def connect_to_loopback():
    with socket.socket() as client:
        client.connect(("127.0.0.1", int(ENV["PORT"])))


@attempt
def listen():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


@attempt
def make_a_udp_socket():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


@attempt
def make_a_socket_pair():
    socket.socketpair()


@attempt
def connect_to_an_abstract_socket():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + ENV["ABSTRACT"])


@attempt
def connect_to_a_unix_socket():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(ENV["FILE"] + ".socket")


@attempt
def execute():
    """The parent gets the exit code of ``true``, and no answer."""
    os.execv("/bin/true", ["true"])


@attempt
def execute_as_root():
    """A set-uid program creates a folder where only root can. Its exit code is the result."""
    os.execv(ENV["FILE"], ["mkdir", ENV["FILE"] + ".folder"])


@attempt
def fork():
    if not os.fork():
        os._exit(0)


@attempt
def spawn():
    os.posix_spawn("/bin/true", ["true"], {})


@attempt
def start_a_thread():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


@attempt
def signal_the_parent():
    os.kill(PARENT, signal.SIGURG)  # ignored by default


@attempt
def signal_the_group():
    os.kill(0, signal.SIGURG)


@attempt
def trace_the_parent():
    checked(libc.ptrace(PTRACE_SEIZE, PARENT, None, None))  # stops nothing; ends with this process


@attempt
def limit_the_parent():
    resource.prlimit(PARENT, resource.RLIMIT_CORE)


@attempt
def raise_the_memory():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


@attempt
def raise_the_soft_memory():
    resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, resource.getrlimit(resource.RLIMIT_AS)[1]))


@attempt
def raise_the_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))


@attempt
def raise_the_cpu_time():
    resource.setrlimit(resource.RLIMIT_CPU, (100_000, 100_000))


@attempt
def allocate_memory():
    mmap.mmap(-1, 2 * GIB).close()


@attempt
def write_to_an_open_file():
    assert os.write(opened[0], b"x") == 1


@attempt
def open_many_files():
    for _ in range(100):
        os.dup(0)


@attempt
def map_executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


@attempt
def gain_privileges():
    """Read no_new_privs: 1 means that no program can gain privileges."""
    if kernel.prctl(GET_NO_NEW_PRIVS):
        raise PermissionError(errno.EPERM, "")


@attempt
def make_the_kernel_signal_the_parent():
    """Make the parent the process that the kernel signals about the open file."""
    fcntl.fcntl(opened[0], fcntl.F_SETOWN, PARENT)


@attempt
def use_much_cpu_time():
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pass


@attempt
def ignore_the_cpu_signal():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    use_much_cpu_time()


def only(layers):
    """Omit all other layers, as if the system lacked them."""
    linux.FURTHER_LAYERS = {name: layer for name, layer in linux.FURTHER_LAYERS.items() if name in layers}
    if "limits" not in layers:
        unix._set = lambda *_: False


def tried(function):
    try:
        function()
    except MemoryError:
        return "MemoryError"
    except (OSError, ValueError, RuntimeError) as error:
        code = getattr(error, "errno", None)
        return errno.errorcode[code] if code else type(error).__name__
    return "done"


def main():
    load()
    only(ENV["LAYERS"].split())
    opened.append(os.open(ENV["FILE"] + ".own", os.O_RDWR))
    unix.CPU_SECONDS, unix.PREVIEWS_PER_WORKER = (int(ENV[name]) for name in ("CPU_SECONDS", "PREVIEWS_PER_WORKER"))
    if user := int(ENV["USER"]):
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    channel, _ = linux.begin()
    unix.receive(channel, protocol.REQUEST.size)
    channel.sendall(tried(ATTEMPTS[ENV["TRY"]]).encode())
    os._exit(0)
