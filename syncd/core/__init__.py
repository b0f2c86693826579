"""The rules of syncd, free of I/O: values in, values out.

This package reads no clock, file or socket, and gets its randomness from the caller. A test can therefore try each rule
thousands of times per second and replay the run from a seed.
"""
