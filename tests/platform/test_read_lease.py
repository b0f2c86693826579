"""Read leases: writers by descriptor or memory map, in this process or in another."""

import mmap
import os
import signal
import subprocess
import sys

import pytest

from syncd.platform.posix import read_lease
from syncd.platform.read_lease import ReadLease, Writer, writer
from tests.support.wait import wait_until_sync

if sys.platform != "linux":
    pytest.skip("leases are Linux' own", allow_module_level=True)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 5000)
    return path


@pytest.fixture
def descriptor(path):
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_writer_of_file_open_for_reading_is_none(descriptor, path):
    with path.open("rb"):
        assert writer(descriptor) is Writer.NONE


@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_writer_of_file_open_for_writing_is_open(descriptor, path, mode):
    with path.open(mode):
        assert writer(descriptor) is Writer.OPEN
    assert writer(descriptor) is Writer.NONE


def test_writer_of_mapped_file_is_open(descriptor, path):
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert writer(descriptor) is Writer.OPEN
    mapped.close()
    assert writer(descriptor) is Writer.NONE


@pytest.mark.e2e
def test_writer_in_another_process_is_open(descriptor, path):
    hold = f"f = open({str(path)!r}, 'r+b'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert writer(descriptor) is Writer.OPEN
        other.communicate(b"\n")
    assert writer(descriptor) is Writer.NONE


def test_writer_leaves_no_lease(descriptor, path):
    assert writer(descriptor) is Writer.NONE
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def test_two_leases_on_one_file_are_granted(descriptor, path):
    with path.open("rb") as other, ReadLease(descriptor) as first, ReadLease(other.fileno()) as second:
        assert (first.granted, second.granted) == (Writer.NONE, Writer.NONE)


@pytest.mark.e2e
def test_broken_after_writer_opened_and_no_signal_kills(path):
    """Run in a process with the default signal handlers."""
    script = f"""
import os
from syncd.platform.read_lease import ReadLease
descriptor = os.open({str(path)!r}, os.O_RDONLY)
with ReadLease(descriptor) as lease:
    print(lease.granted.value, lease.broken())
    try:
        os.open({str(path)!r}, os.O_RDWR | os.O_NONBLOCK)
    except BlockingIOError:
        print(lease.broken())
print(os.get_blocking(os.open({str(path)!r}, os.O_RDWR)))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["none", "False", "True", "True"]


@pytest.mark.e2e
def test_waiting_writer_continues_after_lease(descriptor, path):
    write = f"print(flush=True); open({str(path)!r}, 'r+b').write(b'y')"
    with ReadLease(descriptor) as lease:
        other = subprocess.Popen([sys.executable, "-c", write], stdout=subprocess.PIPE)
        wait_until_sync(lambda: lease.broken() or other.poll() is not None, "the writer waits for the lease")
        assert other.poll() is None, "it did not wait"
    assert other.wait(20) == 0
    other.stdout.close()
    assert path.read_bytes()[:1] == b"y"


def test_writer_keeps_signal_handlers(descriptor):
    before = signal.getsignal(signal.SIGIO), signal.getsignal(signal.SIGURG)
    writer(descriptor)
    assert (signal.getsignal(signal.SIGIO), signal.getsignal(signal.SIGURG)) == before


@pytest.mark.parametrize("kind", [0x6969, 0xFF534D42, None])
def test_writer_on_network_file_system_is_unknown(descriptor, path, monkeypatch, kind):
    monkeypatch.setattr(read_lease, "file_system_type", lambda _: kind)
    assert writer(descriptor) is Writer.UNKNOWN
    with path.open("r+b"):
        assert writer(descriptor) is Writer.UNKNOWN


def test_writer_on_fuse_is_open_or_unknown(descriptor, path, monkeypatch):
    monkeypatch.setattr(read_lease, "file_system_type", lambda _: read_lease.FUSE)
    assert writer(descriptor) is Writer.UNKNOWN
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    with path.open("r+b"):
        assert writer(descriptor) is Writer.OPEN


def test_file_system_type_of_proc(descriptor):
    with open("/proc/self/status", "rb") as file:
        assert read_lease.file_system_type(file.fileno()) == 0x9FA0
    assert writer(descriptor) is Writer.NONE


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_writer_of_foreign_file_needs_cap_lease(path):
    opened = f"os.open({str(path)!r}, os.O_RDONLY)"
    script = f"import os; from syncd.platform.read_lease import writer; print(writer({opened}).value)"
    path.chmod(0o644)
    for above in (path.parent, path.parent.parent):
        above.chmod(0o755)
    with_it = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    os.chown(path, 1, 1)
    drop = "import ctypes; ctypes.CDLL(None).prctl(24, 28, 0, 0, 0); "
    exec_again = f"import os, sys; {drop}os.execv(sys.executable, [sys.executable, '-c', {script!r}])"
    without = subprocess.run([sys.executable, "-c", exec_again], stdout=subprocess.PIPE, text=True, check=True)
    assert (with_it.stdout.strip(), without.stdout.strip()) == ("none", "unknown")


def test_writer_of_directory_is_unknown(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert writer(directory) is Writer.UNKNOWN
    finally:
        os.close(directory)
