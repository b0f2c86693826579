"""Defines the messages between daemon and worker, and the limits of the worker.

The worker first sends :data:`GREETING` and the names of its sandbox layers in force, separated by spaces. The daemon
then sends requests: :data:`REQUEST` and the open file, as a descriptor (Unix) or a handle (Windows), so that the file's
bytes never pass through the daemon. The worker answers each with :data:`ANSWER` and a WebP image, or with
:data:`ANSWER` and the reason why there is no preview.
"""

import struct

GREETING = struct.Struct(">H")
"""The number of bytes after it."""
REQUEST = struct.Struct(">I")
"""The longest edge in pixels."""
ANSWER = struct.Struct(">?I")
"""True before an image, False before a reason; then the number of bytes after it."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Several times the size of the largest preview."""
MAX_REASON_BYTES = 100
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Enough to decode 128 million pixels of four bytes and to scale them down."""
CPU_SECONDS = 10
"""CPU time for one preview."""
PREVIEWS_PER_WORKER = 100
"""Previews after which a worker is replaced, so that a worker taken over by an image sees few others."""


class NoPreviewError(Exception):
    """A file has no preview. ``str()`` is the reason, worded to follow the file's name."""
