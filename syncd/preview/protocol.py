"""Define the messages between daemon and worker, and the limits of the worker.

The worker first sends :data:`GREETING` and the names of its active sandbox layers, separated by spaces. The daemon then
sends requests: :data:`REQUEST` and the open file, as a descriptor (Unix) or handle (Windows), so the file's bytes never
pass through the daemon. The worker replies with :data:`ANSWER` and a WebP image, or the reason why there is none.
"""

import struct

GREETING = struct.Struct(">H")
"""The number of bytes that follow."""
REQUEST = struct.Struct(">I")
"""The longest edge in pixels."""
ANSWER = struct.Struct(">?I")
"""Whether an image follows (otherwise a reason), and the number of bytes."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Several times the size of the largest possible preview."""
MAX_REASON_BYTES = 100
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Enough for 128 million pixels of four bytes, and for scaling them down."""
CPU_SECONDS = 10
"""CPU time for one preview."""
PREVIEWS_PER_WORKER = 100
"""A worker ends after this many, so a worker that a hostile image has taken over sees few other images."""


class NoPreviewError(Exception):
    """This file has no preview. ``str()`` is the reason, worded to follow the file's name."""
