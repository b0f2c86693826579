import os
import shutil
import socket
import sys

import pytest

from tests.systemd import packages
from tests.systemd.machine import Machine

WANTED = os.environ.get("SYSTEMD") == "yes"


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/systemd" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(900))
            item.add_marker(pytest.mark.e2e)
            if not WANTED:
                item.add_marker(pytest.mark.skip(reason="boots a Debian: make test-systemd"))
            elif os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="only root can boot a machine"))


def fetched(work, *arguments):
    """Run a function that needs a package server; skip with a warning if it is unreachable."""
    try:
        return work(*arguments)
    except packages.Unreachable as error:
        print(f"\n*** NOT TESTED: packages can't be fetched.\n*** {error}", file=sys.stderr)
        pytest.skip(f"packages can't be fetched: {error}")


@pytest.fixture(scope="session")
def debian():
    return fetched(packages.debian)


@pytest.fixture(scope="session")
def dist():
    return fetched(packages.build, packages.ROOT)


@pytest.fixture(scope="session")
def older():
    """Return the packages of the previous commit, with a lower version."""
    source = packages.before()
    if source is None:
        pytest.skip("the commit before this one has no package, or is not there")
    return fetched(packages.build, source)


@pytest.fixture(scope="session")
def wheels(dist):
    return fetched(packages.wheels, dist)


@pytest.fixture(scope="session")
def machines_folder(debian):
    folder = packages.machines_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def machine(debian, machines_folder, request):
    """Provide one machine for all tests of a module, which run in order."""
    made = Machine(debian, machines_folder / request.module.__name__.rpartition(".")[2])
    try:
        made.boot()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def ports():
    """Return free ports for receiver and dashboard; the machine uses the host's network."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
