"""Tests of the packages on a Debian booted by systemd: `make test-systemd`.

They need root and the servers of apt and pip.
"""
