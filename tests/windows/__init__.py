"""syncd on Windows' own Python, under wine: `make test-windows` prepares that and runs the tests there."""
