"""syncd: a background folder-sync daemon for images."""

try:
    from syncd._build import __version__ as __version__  # only in a package: see packaging/version.py
except ImportError:
    __version__ = "0.2.0.dev0"
