"""Render previews of images in a sandboxed worker process.

Image decoders run on untrusted files, so they never run in the daemon. ``worker`` is the main function of the worker
process, ``confine`` its sandbox, and ``picture`` renders the previews there. In the daemon, ``renderer`` starts the
worker and talks to it, ``cache`` stores the previews on disk, and ``previews`` is the interface for the other packages.
This module imports nothing, so that the worker loads no code that it does not need.
"""
