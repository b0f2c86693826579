"""Renders previews of images in a sandboxed worker process.

Image decoders run on untrusted files, so they never run in the daemon. ``worker`` is the main function of the worker
process, and ``picture`` renders the previews there. In the daemon, ``renderer`` starts the worker and talks to it,
``cache`` stores the previews on disk, and ``previews`` is the interface for the other packages. ``linux``, ``unix`` and
``windows`` have one interface: they start the worker, pass files to it and confine it. ``system`` is the one in use.
This module imports nothing else, so that the worker loads no code that it does not need.
"""

import sys

if sys.platform == "win32":
    from syncd.preview import windows as system
elif sys.platform == "linux":
    from syncd.preview import linux as system
else:
    from syncd.preview import unix as system

__all__ = ["system"]
