"""Code for Windows: twins of :mod:`syncd.platform.posix`, the service, job objects."""
