"""Implementations for Unix, each with a twin of the same name in :mod:`syncd.platform.windows`."""
