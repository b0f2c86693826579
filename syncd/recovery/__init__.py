"""``syncd verify``, ``restore`` and ``backup``: compare or download uploaded files, and copy the job store."""
