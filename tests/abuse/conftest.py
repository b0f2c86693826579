from tests.cli.conftest import syncd
from tests.daemon.conftest import receiver, site

__all__ = ["receiver", "site", "syncd"]
