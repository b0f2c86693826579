"""What goes over the socket between the daemon and the worker.

A request is :data:`REQUEST`, with the open file beside it as a descriptor: its bytes never pass through the daemon. The
answer is :data:`ANSWER` and so many bytes, a WebP image or the reason why there is none.
"""

import struct

REQUEST = struct.Struct(">I")
"""The longest edge in pixels."""
ANSWER = struct.Struct(">?I")
"""Whether there is a picture, and how many bytes follow."""


class Unshowable(Exception):  # noqa: N818 - it says what is the case
    """There is no picture of this file; ``str()`` says why, to follow its name."""
