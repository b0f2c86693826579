"""All code that depends on the operating system.

``posix`` and ``windows`` have twin modules with one interface; the module of the same name here chooses one of them.
Other packages import from here and do not test the system themselves. This package imports only :mod:`syncd.core`.
"""
