"""The log levels, for the configuration, the log itself and the clients that filter log events."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Number of each level, as in the standard library; a higher number is more severe."""
