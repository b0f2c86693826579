"""Code for Unix. Each module has a twin of the same name in :mod:`syncd.platform.windows`."""
