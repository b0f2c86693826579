"""Small pictures of large ones, made in a process of their own.

What decodes images nobody vouches for is kept away from the daemon: ``worker`` is that process, with little memory and
little time, ``confine`` takes all else away from it, ``picture`` is what it does there, ``renderer`` starts it and
talks to it, ``cache`` keeps what it made, and ``previews`` is what the daemon asks. This module stays empty so that the
worker loads nothing that it has no use for.
"""
