"""Test which libraries ``syncd run`` loads, and that the skipped parts leave no trace."""

import gc
import ssl
import subprocess
import sys

import pytest

from syncd.cli.imports import paused_collector, skipped_parts

UNUSED = {"PIL", "alembic", "http.server", "pygments", "prometheus_client", "rich", "syncd.receiver", "wsgiref"}
RUN_UNTIL_READY = """
import os, ssl, sys
from syncd.cli import main
from syncd.platform.systemd import notify

def ready(_status):
    from aiohttp import connector
    trusted = connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"]
    print(trusted, connector._SSL_CONTEXT_VERIFIED.verify_mode.name, *sys.modules, flush=True)
    os._exit(0)

notify.ready = ready
main()
"""


def run_until_ready(path):
    """Return what aiohttp's own TLS context trusts and verifies, and the loaded modules."""
    command = [sys.executable, "-c", RUN_UNTIL_READY, "run", "-c", path]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    trusted, mode, *modules = result.stdout.split()
    return trusted, mode, set(modules)


@pytest.mark.e2e
def test_run_imports_no_unused_library(config, receiver):
    path = config(receiver)
    run_until_ready(path)  # creates the store, with alembic
    trusted, mode, modules = run_until_ready(path)
    assert "syncd.daemon.daemon" in modules
    assert UNUSED.isdisjoint(modules)
    assert (trusted, mode) == ("0", "CERT_REQUIRED")


def test_skipped_parts_restores_authorities_and_modules(monkeypatch):
    monkeypatch.delitem(sys.modules, "rich", raising=False)
    original = ssl.SSLContext.set_default_verify_paths
    with skipped_parts():
        assert ssl.SSLContext.set_default_verify_paths is not original
        with pytest.raises(ImportError):
            import rich  # noqa: PLC0415
    assert ssl.SSLContext.set_default_verify_paths is original
    import rich  # noqa: F401, PLC0415


def test_skipped_parts_keeps_imported_module():
    import rich  # noqa: PLC0415

    with skipped_parts():
        assert sys.modules["rich"] is rich


def test_paused_collector_resumes_after_error(monkeypatch):
    monkeypatch.setattr(gc, "freeze", lambda: None)  # for the garbage of other tests
    enabled = []

    def fail():
        with paused_collector():
            enabled.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert enabled == [False]
    assert gc.isenabled()
