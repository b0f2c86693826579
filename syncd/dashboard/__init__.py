"""Serves the dashboard on loopback TCP: the control API and the files of the page, for a browser on this machine.

The page is a client of :mod:`syncd.control`. This package adds the login, the access rules and the static files.
"""
