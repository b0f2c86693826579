"""What goes over the socket between the daemon and the worker, and what the worker may take.

A request is :data:`REQUEST`, and the open file goes with it, as the system has it: its bytes never pass through the
daemon. The answer is :data:`ANSWER` and so many bytes, a WebP image or the reason why there is none. Before the first,
the worker has sent :data:`GREETING` and so many bytes: the names of the layers of its sandbox that are in force, with
spaces between.
"""

import struct

GREETING = struct.Struct(">H")
"""How many bytes follow."""
REQUEST = struct.Struct(">I")
"""The longest edge in pixels."""
ANSWER = struct.Struct(">?I")
"""Whether there is a picture, and how many bytes follow."""
LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of a picture at most: some times what the largest edge can come to."""
LONGEST_REASON = 100
"""Bytes of a reason at most."""
MEMORY = 1024 * 1024 * 1024
"""Bytes of memory: 128 million pixels of four bytes, and what scales them down."""
SECONDS = 10
"""Of computing for one picture."""
PICTURES = 100
"""That one worker makes, so that what a hostile image has done to it meets few others."""


class Unshowable(Exception):  # noqa: N818 - it says what is the case
    """There is no picture of this file; ``str()`` says why, to follow its name."""
