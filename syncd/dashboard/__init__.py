"""Serves the dashboard: a page for a browser on this machine, and the control API.

The page is a client of :mod:`syncd.control`. This package adds the login, the access rules and the static files.
"""
