"""The control API of the running daemon: HTTP with JSON below ``/v1/``, for commands, scripts and the dashboard.

:mod:`~syncd.control.routes` defines the routes, :mod:`~syncd.control.service` what the daemon implements,
:mod:`~syncd.control.unix_server` and :mod:`~syncd.control.pipe_server` the listeners, :mod:`~syncd.control.client` the
client. This module imports nothing, so that the client does not load the server.
"""
