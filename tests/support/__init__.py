"""Helpers that the tests of several packages share.

``wait`` waits for a condition, ``clock`` replaces the clock, ``data`` and ``images`` make contents, ``config`` makes
settings, and ``processes`` runs syncd commands, receivers and daemons.
"""
