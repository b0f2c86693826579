"""Finds the files of the watched folders: by events as hints, and by scans that decide."""
