"""The configuration for the commands that need the whole of it."""

from syncd.cli.errors import bad_config
from syncd.config.load import ConfigError, Loaded, find
from syncd.config.load import load as load_file


def load(config: str | None) -> Loaded:
    """Return the configuration that ``-c`` names, or the usual one; a fault with all that is wrong with it."""
    try:
        return load_file(find(config))
    except ConfigError as error:
        raise bad_config(error) from None
