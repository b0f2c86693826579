"""The control socket: access, start and stop, and malformed requests."""

import asyncio
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.control import dispatch, unix_server
from syncd.control.client import ControlClient, NoResponseError, NotRunningError
from syncd.control.unix_server import ControlServer, SocketUnavailableError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

OTHER_USER_SCRIPT = """
import os, sys
from syncd.control.client import ControlClient, AccessDeniedError
os.setuid(65534)
try:
    ControlClient(sys.argv[1]).status()
except AccessDeniedError as error:
    print(error)
"""


def error_of_other_user(path):
    return subprocess.run(
        [sys.executable, "-c", OTHER_USER_SCRIPT, path], capture_output=True, text=True, check=True
    ).stdout


async def test_socket_mode_is_owner_only(server):
    assert stat.S_IMODE(server.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o777])
async def test_socket_mode_ignores_umask(daemon, tmp_path, umask):
    before = os.umask(umask)
    try:
        server = ControlServer(daemon, tmp_path / "control.sock")
        await server.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) & 0o077 == 0
    await server.stop()


@pytest.mark.e2e
@as_root
async def test_other_user_is_stopped_by_socket_mode(server):
    assert "no permission" in await asyncio.to_thread(error_of_other_user, server)


@pytest.mark.e2e
@as_root
async def test_other_user_is_rejected_despite_open_mode(daemon):
    folder = f"/tmp/syncd-test-{os.getpid()}"  # a folder that everybody can enter, which tmp_path is not
    server = ControlServer(daemon, f"{folder}/control.sock")
    await server.start()
    os.chmod(folder, 0o755)
    os.chmod(f"{folder}/control.sock", 0o666)
    try:
        answer = await asyncio.to_thread(error_of_other_user, f"{folder}/control.sock")
    finally:
        await server.stop()
        os.rmdir(folder)
    assert answer == "user 65534 has no permission to control this daemon\n"
    assert daemon.asked == []


GROUP, OTHER_GROUP = 54321, 54322


@pytest.fixture
async def shared(daemon):
    """A server with group access, in a new folder below one that every user can enter."""
    base = Path(tempfile.mkdtemp(prefix="syncd-test-"))
    os.chmod(base, 0o755)
    server = ControlServer(daemon, base / "run/control.sock", group=GROUP)
    await server.start()
    yield base / "run/control.sock"
    await server.stop()
    shutil.rmtree(base)


def error_of_group_member(path, primary, *groups):
    script = OTHER_USER_SCRIPT.replace("os.setuid", f"os.setgid({primary}); os.setgroups({groups!r}); os.setuid")
    return subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout


@pytest.mark.e2e
@as_root
async def test_group_member_has_access(shared):
    for path, mode in (shared, 0o660), (shared.parent, 0o750):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (mode, GROUP)
    assert await asyncio.to_thread(error_of_group_member, shared, GROUP) == ""
    assert await asyncio.to_thread(error_of_group_member, shared, OTHER_GROUP, OTHER_GROUP, GROUP) == ""
    assert "no permission" in await asyncio.to_thread(error_of_group_member, shared, OTHER_GROUP)


@pytest.mark.parametrize("groups", [(), (GROUP,), (0, 2**32 - 2, GROUP)])
def test_groups_of_peer_are_all_read(groups):
    connection = SimpleNamespace(getsockopt=lambda *_: struct.pack(f"{len(groups)}I", *groups))
    assert unix_server._groups(connection) == groups


@pytest.mark.e2e
@as_root
async def test_other_group_is_rejected_despite_open_mode(shared):
    shared.parent.chmod(0o755)
    shared.chmod(0o666)
    answer = await asyncio.to_thread(error_of_group_member, shared, OTHER_GROUP, OTHER_GROUP)
    assert answer == "user 65534 has no permission to control this daemon\n"


NON_MEMBER_SCRIPT = """
import asyncio, os, sys
from unittest.mock import Mock
from syncd.control.unix_server import ControlServer, SocketUnavailableError
server = ControlServer(Mock(), sys.argv[1], group=54321)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    asyncio.run(server.start())
except SocketUnavailableError as error:
    print(error)
"""


@pytest.mark.e2e
@as_root
async def test_start_with_foreign_group_fails(tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="syncd-test-"))
    os.chown(folder, 65534, 65534)
    command = [sys.executable, "-c", NON_MEMBER_SCRIPT, folder / "control.sock"]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert "cannot be given to group 54321 of control.group" in ended.stdout
    os.rmdir(folder)  # which fails if it contains a socket


async def test_stop_removes_socket(daemon, tmp_path):
    server = ControlServer(daemon, tmp_path / "control.sock")
    await server.start()
    await server.stop()
    assert not (tmp_path / "control.sock").exists()


async def test_stop_keeps_socket_of_other_server(daemon, tmp_path):
    path = tmp_path / "control.sock"
    first, second = ControlServer(daemon, path), ControlServer(daemon, path)
    await first.start()
    path.rename(tmp_path / "aside")
    await second.start()
    await first.stop()
    assert path.is_socket()
    await second.stop()


async def test_start_replaces_stale_socket(daemon, tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = ControlServer(daemon, path)
    await server.start()
    assert (await asyncio.to_thread(ControlClient(path).status))["pid"] == 4711
    await server.stop()


async def test_start_with_running_daemon_fails(daemon, server):
    with pytest.raises(SocketUnavailableError, match="another daemon answers"):
        await ControlServer(daemon, server).start()
    assert (await asyncio.to_thread(ControlClient(server).status))["pid"] == 4711


async def test_start_keeps_other_file_at_path(daemon, tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(SocketUnavailableError, match="not a socket"):
        await ControlServer(daemon, path).start()
    assert path.read_text() == "precious"


async def test_start_with_long_path_fails(daemon, tmp_path):
    with pytest.raises(SocketUnavailableError, match=r"a socket's path can have 107: set control\.socket"):
        await ControlServer(daemon, tmp_path / ("x" * 107)).start()


async def test_client_without_server_raises_not_running(tmp_path):
    with pytest.raises(NotRunningError, match="not running"):
        ControlClient(tmp_path / "control.sock").status()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NotRunningError, match="not running"):
        ControlClient(tmp_path / "control.sock").status()


async def test_client_unknown_route_advises_restart(server):
    with pytest.raises(
        NoResponseError, match="does not support this request, because it has another version: this command"
    ):
        await asyncio.to_thread(ControlClient(server)._request, "GET", "/v1/of-tomorrow")


@pytest.mark.parametrize(
    "answer", [b"", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n[]"]
)
async def test_client_other_server_raises_no_response(tmp_path, answer):
    async def other(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(other, tmp_path / "control.sock"):
        with pytest.raises(NoResponseError):
            await asyncio.to_thread(ControlClient(tmp_path / "control.sock", timeout=5).status)


async def test_client_timeout_raises_no_response(daemon, server, monkeypatch):
    entered = asyncio.Event()
    monkeypatch.setattr(daemon, "start", entered.wait)
    with pytest.raises(NoResponseError, match=r"within 0\.1 s"):
        await asyncio.to_thread(ControlClient(server, timeout=0.1).start)
    entered.set()


async def test_incomplete_body_times_out(server, monkeypatch):
    monkeypatch.setattr(dispatch, "BODY_TIMEOUT_SECONDS", 0.05)
    assert await send(server, b"POST /v1/start HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{") == 408


async def test_idle_connection_is_closed(daemon, tmp_path, monkeypatch):
    monkeypatch.setattr("syncd.control.unix_server.IDLE_TIMEOUT_SECONDS", 0.05)
    server = ControlServer(daemon, tmp_path / "control.sock")
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_stop_sends_pending_response(daemon, tmp_path, monkeypatch):
    begun = asyncio.Event()

    async def slow():
        begun.set()
        await asyncio.sleep(0.1)

    monkeypatch.setattr(daemon, "shutdown", slow)
    server = ControlServer(daemon, tmp_path / "control.sock")
    await server.start()
    asking = asyncio.create_task(asyncio.to_thread(ControlClient(tmp_path / "control.sock").shutdown))
    await begun.wait()
    await asyncio.gather(asking, server.stop())


async def send(path, raw):
    """Return the status of the response to ``raw``, or None if the server just closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(raw)
        line = await asyncio.wait_for(reader.readline(), 10)
        return int(line.split()[1]) if line else None
    except ConnectionError:
        return None
    finally:
        writer.close()


requests = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda method, url, length, body: (
            b"%b %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (method, url, len(body) + length, body)
        ),
        st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS"]),
        st.one_of(
            st.sampled_from(
                [b"/v1/stop", b"/v1/retry", b"/v1/cancel", b"/v1/rescan", b"/v1/jobs?limit=1", b"*", b"//"]
            ),
            st.binary(max_size=40).map(lambda raw: b"/v1/job?target=" + raw),
            st.text("%0123456789abcdefgABCDEF&=+;", max_size=40).map(lambda text: b"/v1/jobs?search=" + text.encode()),
            st.binary(max_size=40),
        ),
        st.integers(0, 1),
        st.one_of(
            st.binary(max_size=100),
            st.sampled_from(
                [b'{"targets": ["file:///%ff"]}', b'{"targets": ["\\ud800"]}', b'{"\\ud800": 1}', b"1e999", b"NaN"]
            ),
        ),
    ),
)


async def test_random_requests_never_cause_server_error(daemon, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "BODY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("syncd.control.unix_server.IDLE_TIMEOUT_SECONDS", 0.05)
    loop, path = asyncio.get_running_loop(), tmp_path / "control.sock"
    server = ControlServer(daemon, path)
    await server.start()

    @settings(max_examples=200, deadline=None)
    @given(requests)
    def nonsense(raw):
        status = asyncio.run_coroutine_threadsafe(send(path, raw + b"\r\n\r\n"), loop).result(15)
        assert status is None or status < 500

    await asyncio.to_thread(nonsense)
    assert await send(path, b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n") == 200
    assert caplog.records == []
    await server.stop()


@pytest.mark.parametrize("size", [10_000, 1_000_000])
async def test_long_headers_are_rejected(server, size):
    status = await send(server, b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"x" * size + b"\r\n\r\n")
    assert status in {400, 431, None}
