"""The daemon, and everything that connects the other packages with each other.

:mod:`~syncd.daemon.runtime` opens the store, the upload workers and the watches of a configuration;
:mod:`~syncd.daemon.daemon` runs them until a shutdown, :mod:`~syncd.daemon.once` for a single pass;
:mod:`~syncd.daemon.control_service` answers the control API. Imports go one way: daemon, listeners, control_service,
runtime.
"""
