from tests.cli.conftest import syncd
from tests.daemon.conftest import harness, receiver

__all__ = ["harness", "receiver", "syncd"]
