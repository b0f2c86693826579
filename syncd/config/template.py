"""The commented configuration that `syncd init` starts from; config.example.yaml shows the same text."""

from importlib.resources import files


def example_text() -> str:
    """Return the whole example: it has every key, and can be loaded as it is."""
    return files("syncd.config").joinpath("example.yaml").read_text(encoding="utf-8")
