"""The rules of syncd, free of I/O: values in, values out.

Nothing here reads a clock, a file or a socket, and nothing here is random by itself, so that every rule
can be tried thousands of times in a second and replayed from a seed.
"""
