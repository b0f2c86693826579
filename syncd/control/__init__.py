"""The control API of the daemon, for commands, scripts and the dashboard.

It is HTTP with JSON below ``/v1/``.

:mod:`~syncd.control.routes` defines the routes, :mod:`~syncd.control.service` what the daemon implements,
:mod:`~syncd.control.unix_server` and :mod:`~syncd.control.pipe_server` the listeners and their access rules,
:mod:`~syncd.control.client` the client. This module imports nothing, so that the client does not load the server.
"""
