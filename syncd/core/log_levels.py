"""The log levels that the configuration, the log and the clients of the log share."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""The number of each level, as in the standard library's ``logging``; a higher number is more severe."""
