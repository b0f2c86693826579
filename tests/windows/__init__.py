"""Tests of syncd with Python for Windows under wine: `make test-windows`."""
