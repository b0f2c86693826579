"""syncd: a background folder-sync daemon for images."""

__version__ = "0.1.0"
