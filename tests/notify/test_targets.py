"""Delivery with the real Apprise to a real server, and with a real program."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from syncd.control.problems import Severity
from syncd.notify import delivery
from syncd.notify.delivery import DeliveryError
from syncd.notify.message import Event, Message
from syncd.notify.targets import make_targets
from tests.notify.support import URL_SECRETS, json_url, settings
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e

MESSAGE = Message(event=Event.ATTENTION, title="Title é", body="- one\n- two", severity=Severity.CRITICAL)


def target(**values):
    (found,) = make_targets(settings(**values))
    return found


def python(code):
    return target(command=[sys.executable, "-c", code])


def process_arguments():
    """Return the command lines of all processes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes() + (entry / "environ").read_bytes())
            except OSError:
                continue
    return found


async def test_apprise_delivers_message(server):
    await target(urls=json_url(server.url)).send(MESSAGE)
    (request,) = server.requests
    assert (request["title"], request["message"], request["type"]) == ("Title é", "- one\n- two", "failure")
    assert URL_SECRETS[1] in server.paths[0]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_apprise_error_contains_no_secret(server, status):
    server.status = status
    with pytest.raises(DeliveryError) as error:
        await target(urls=json_url(server.url)).send(MESSAGE)
    assert str(status) in str(error.value)
    assert not [secret for secret in (*URL_SECRETS, "127.0.0.1") if secret in str(error.value)]


async def test_apprise_closed_port_error_contains_no_secret():
    with pytest.raises(DeliveryError, match="onnection") as error:
        await target(urls=json_url("http://127.0.0.1:9")).send(MESSAGE)
    assert not [secret for secret in (*URL_SECRETS, "127.0.0.1") if secret in str(error.value)]


async def test_apprise_unknown_service_is_named():
    with pytest.raises(DeliveryError, match="does not understand this URL") as error:
        await target(urls="nonsense://s3cret-value").send(MESSAGE)
    assert "s3cret" not in str(error.value)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
async def test_apprise_url_is_in_no_process_list(server):
    server.hanging = asyncio.Event()
    sending = asyncio.create_task(target(urls=json_url(server.url)).send(MESSAGE))
    await wait_until(lambda: server.paths)
    listed = process_arguments()
    server.hanging.set()
    await sending
    assert any(b"syncd.notify.apprise_process" in arguments for arguments in listed)
    assert not [secret for secret in URL_SECRETS if any(secret.encode() in arguments for arguments in listed)]


async def test_command_gets_environment_and_input(tmp_path):
    code = (
        "import os, sys; open('out', 'wb').write(sys.stdin.buffer.read() + "
        "repr(sorted((k, v) for k, v in os.environ.items() if k.startswith('SYNCD_NOTIFY'))).encode())"
    )
    await python(code.replace("'out'", repr(str(tmp_path / "out")))).send(MESSAGE)
    text = (tmp_path / "out").read_bytes().decode()
    assert text.startswith("Title é\n\n- one\n- two\n")
    for variable in (
        "('SYNCD_NOTIFY_EVENT', 'attention')",
        "('SYNCD_NOTIFY_SEVERITY', 'critical')",
        "('SYNCD_NOTIFY_TITLE', 'Title é')",
        "('SYNCD_NOTIFY_BODY', '- one\\n- two')",
    ):
        assert variable.replace("\n", "\\n") in text


async def test_command_is_run_without_shell(tmp_path):
    file = tmp_path / "made by a shell"
    await target(command=[sys.executable, "-c", "pass", f"; touch '{file}'"]).send(MESSAGE)
    assert not file.exists()


async def test_command_that_reads_no_input_delivers():
    await python("pass").send(Message(event=Event.TEST, title="t", body="x" * 100_000))


async def test_command_that_ended_before_it_got_its_input_delivers(monkeypatch):
    """uvloop refuses to write to a pipe that it has closed."""
    create = asyncio.create_subprocess_exec

    async def create_and_wait(*arguments, **options):
        process = await create(*arguments, **options)
        await process.wait()
        process.stdin.transport.abort()
        await asyncio.sleep(0.01)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_and_wait)
    await python("pass").send(MESSAGE)


async def test_command_exit_code_is_failure():
    with pytest.raises(DeliveryError, match=r"^ended with code 3$"):
        await python("raise SystemExit(3)").send(MESSAGE)


async def test_command_missing_is_failure():
    with pytest.raises(DeliveryError, match="cannot be started: No such file"):
        await target(command=["/nonexistent/program", "s3cret"]).send(MESSAGE)


def test_command_name_omits_arguments():
    assert target(command=["/usr/bin/curl", "s3cret"]).name == "command curl"


@pytest.mark.unix
async def test_hanging_command_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 1.0)
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    hanging = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    with pytest.raises(DeliveryError, match="not ended within 1 s"):
        await hanging.send(MESSAGE)
    await wait_until(lambda: not _runs(int((tmp_path / "pid").read_text())))


@pytest.mark.unix
async def test_cancelled_delivery_leaves_no_process(tmp_path):
    hanging = python(f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    sending = asyncio.create_task(hanging.send(MESSAGE))
    await wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    sending.cancel()
    async with asyncio.timeout(delivery.TIMEOUT_SECONDS / 2):  # it does not wait for the program's own end
        await asyncio.gather(sending, return_exceptions=True)
    assert not _runs(int((tmp_path / "pid").read_text()))


async def test_delivery_cancelled_during_start_leaves_no_process(monkeypatch):
    create, started = asyncio.create_subprocess_exec, []

    async def create_slowly(*arguments, **options):
        started.append(await create(*arguments, **options))
        await asyncio.sleep(0.1)
        return started[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_slowly)
    sending = asyncio.create_task(python("import time; time.sleep(600)").send(MESSAGE))
    await wait_until(lambda: started)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert not _runs(started[0].pid)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
